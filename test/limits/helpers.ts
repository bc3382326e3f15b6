import { Admission, type AdmissionLimits, type Slot } from '../../lib/limits/admission.ts'

/** Lets everything happen that needs no timer. */
export async function settle (): Promise<void> {
  await new Promise(setImmediate)
}

/** One who asked for a slot. */
export interface Client {
  repository: string
  user: string
  slot: Slot | null
  error: unknown
  leave (): void
}

/** An admission with a clock of its own, and who got what, in order. */
export class Scene {
  readonly admission: Admission
  readonly served: Client[] = []
  now = 0

  constructor (limits: Partial<AdmissionLimits>, random: () => number = () => 0) {
    this.admission = new Admission(limits, { now: () => this.now, random })
  }

  ask (repository: string, user: string): Client {
    const client = new AbortController()
    const asked: Client = { repository, user, slot: null, error: null, leave: () => client.abort(new Error('left')) }
    this.admission.acquire({ repository, user, address: '', left: client.signal }).then((slot) => {
      asked.slot = slot
      this.served.push(asked)
    }, (error) => { asked.error = error })
    return asked
  }

  flood (count: number, repository: string, user: string = repository): Client[] {
    return Array.from({ length: count }, () => this.ask(repository, user))
  }

  /** Gives the slot back of the one that was served `index`-th. */
  async release (index: number): Promise<void> {
    this.served[index]?.slot?.release()
    await settle()
  }

  /** The repositories or users that were served from `start` on. */
  since (start: number, what: 'repository' | 'user' = 'repository'): string[] {
    return this.served.slice(start).map((client) => client[what])
  }
}
