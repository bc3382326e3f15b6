import cluster, { type Worker } from 'node:cluster'
import type { FastifyBaseLogger } from 'fastify'
import { mergeSnapshots } from '../../status/merge.ts'
import type { StatusSnapshot } from '../../web/status-source.ts'
import { Failure } from '../failure.ts'
import type { Figures, FromWorker, ToWorker } from './messages.ts'
import { Past } from './past.ts'

/** A worker that lived shorter than this did not work; milliseconds. */
const SHORT_LIFE = 5_000
/** Milliseconds before such a worker is replaced; doubled each time. */
const [FIRST_PAUSE, LONGEST_PAUSE] = [100, 30_000]
/** Longest wait for a worker's figures, in milliseconds. */
const PATIENCE = 1_000

/** Milliseconds after which a worker that hangs is killed. */
export interface Bounds {
  /** While it starts. */
  starting: number
  /** While it goes because others have taken its place. It gives transfers an hour itself. */
  leaving: number
  /** While all end. It gives transfers a minute. */
  stopping: number
}

const BOUNDS: Bounds = { starting: 60_000, leaving: 3_780_000, stopping: 75_000 }

interface Member {
  worker: Worker
  /** Nothing to worry about when it ends. */
  isLeaving: boolean
  isReady: boolean
  /** The last that it told. */
  last: Figures | null
  /** How many before it did not live long. */
  failures: number
  born: number
  /** Kills it if it hangs. */
  timer: NodeJS.Timeout | undefined
  ready: Promise<void>
}

/** Keeps `count` workers running, and replaces them. */
export class Supervisor {
  readonly #count: number
  readonly #log: FastifyBaseLogger
  readonly #bounds: Bounds
  readonly #members = new Map<number, Member>()
  readonly #past = new Past()
  readonly #asked = new Map<number, (figures: Figures) => void>()
  #ids = 0
  #reloading: Promise<void> | null = null
  #isReloadWanted = false
  #isStopping = false
  #isOpen = false
  #onEmpty: (() => void) | null = null

  constructor (count: number, log: FastifyBaseLogger, bounds: Bounds = BOUNDS) {
    this.#count = count
    this.#log = log
    this.#bounds = bounds
  }

  /** Process ids of the workers that serve. */
  get pids (): number[] {
    return [...this.#members.values()].flatMap(({ isReady, isLeaving, worker }) => isReady && !isLeaving ? worker.process.pid ?? [] : [])
  }

  /** Starts all, and resolves when they serve. @throws Failure when one cannot. */
  async open (): Promise<void> {
    await Promise.all(Array.from({ length: this.#count }, async () => await this.#add(0).ready))
    this.#isOpen = true
    this.#tellWho()
  }

  /** Replaces every worker; the old ones leave when the new ones serve. What cannot be started replaces nobody. */
  async reload (): Promise<void> {
    this.#isReloadWanted = true
    this.#reloading ??= this.#reload().finally(() => { this.#reloading = null })
    await this.#reloading
  }

  /** Ends all when their transfers have ended, or have taken too long. */
  async stop (signal: NodeJS.Signals): Promise<void> {
    this.#isStopping = true
    for (const member of this.#members.values()) {
      if (member.isReady) this.#dismiss(member, { type: 'stop', signal }, this.#bounds.stopping)
      // One that starts serves nobody, and does not listen to us yet.
      else member.worker.process.kill('SIGKILL')
    }
    if (this.#members.size > 0) await new Promise<void>((resolve) => { this.#onEmpty = resolve })
  }

  /** Ends all now. */
  kill (): void {
    for (const { worker } of this.#members.values()) worker.process.kill('SIGKILL')
  }

  /** What all workers have to say, those that have ended included. */
  async metrics (): Promise<object[]> {
    const metrics = (await this.#askAll()).map((figures) => figures.metrics)
    return [...metrics, this.#past.metrics].filter((one) => one !== null)
  }

  #add (failures: number): Member {
    const worker = cluster.fork()
    const member: Member = { worker, isLeaving: false, isReady: false, last: null, failures, born: performance.now(), timer: undefined, ready: Promise.resolve() }
    member.ready = new Promise((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        if (message.type === 'failed') reject(new Failure(message.message, message.exitCode))
        if (message.type === 'ready') {
          member.isReady = true
          clearTimeout(member.timer)
          resolve()
          // A worker that took the place of another.
          if (this.#isOpen && this.#reloading === null) this.#tellWho()
        }
        this.#hear(member, message)
      })
      worker.once('exit', (code: number | null, signal: string | null) => {
        reject(new Failure(`a worker ended before it served: ${signal ?? `exit code ${code}`}`))
        this.#lose(member, { code, signal })
      })
    })
    member.ready.catch(() => {})
    // Writing to one that has just ended.
    worker.on('error', () => {})
    this.#members.set(worker.id, member)
    this.#killAfter(this.#bounds.starting, member)
    return member
  }

  #hear (member: Member, message: FromWorker): void {
    if (message.type === 'figures') {
      member.last = message.figures
      this.#asked.get(message.id)?.(message.figures)
      this.#asked.delete(message.id)
    } else if (message.type === 'others') {
      this.#askAll(member).then((others) => tell(member, { type: 'others', status: mergeSnapshots([this.#past.status, ...others.map(({ status }): StatusSnapshot => status)]) }))
    }
  }

  #lose (member: Member, { code, signal }: { code: number | null, signal: string | null }): void {
    this.#members.delete(member.worker.id)
    clearTimeout(member.timer)
    if (member.last !== null) this.#past.add(member.last).catch((err) => this.#log.error({ err }, 'the figures of a worker that ended are lost'))
    if (this.#members.size === 0) this.#onEmpty?.()
    if (member.isLeaving || this.#isStopping || !member.isReady) return
    const failures = performance.now() - member.born < SHORT_LIFE ? member.failures + 1 : 0
    const pause = pauseAfter(failures)
    this.#log.error({ worker: member.worker.id, pid: member.worker.process.pid, code, signal, pause }, 'a worker ended; starting another')
    this.#addLater(failures, pause)
  }

  #addLater (failures: number, pause: number): void {
    setTimeout(() => {
      if (this.#isStopping || this.pids.length >= this.#count) return
      this.#add(failures).ready.catch((err) => {
        if (this.#isStopping) return
        const next = pauseAfter(failures + 1)
        this.#log.error({ err, pause: next }, 'a worker did not start; trying again')
        this.#addLater(failures + 1, next)
      })
    }, pause)
  }

  async #reload (): Promise<void> {
    while (this.#isReloadWanted && !this.#isStopping) {
      this.#isReloadWanted = false
      this.#log.info({ workers: this.#count }, 'starting new workers')
      const fresh = Array.from({ length: this.#count }, () => this.#add(0))
      const failed = (await Promise.allSettled(fresh.map(async ({ ready }) => await ready))).find((result) => result.status === 'rejected')
      if (this.#isStopping) return
      const leaving = [...this.#members.values()].filter((member) => fresh.includes(member) === (failed !== undefined))
      if (failed !== undefined) this.#log.error({ err: failed.reason }, 'new workers do not start; the old ones go on')
      for (const member of leaving) this.#dismiss(member, { type: 'leave' }, this.#bounds.leaving)
      this.#tellWho()
    }
  }

  /** Tells it to go, and makes sure that it does. */
  #dismiss (member: Member, message: ToWorker, bound: number): void {
    member.isLeaving = true
    this.#killAfter(bound, member)
    tell(member, message)
  }

  #killAfter (bound: number, member: Member): void {
    clearTimeout(member.timer)
    member.timer = setTimeout(() => {
      this.#log.error({ worker: member.worker.id, pid: member.worker.process.pid }, 'a worker hangs; it is killed')
      member.worker.process.kill('SIGKILL')
    }, bound)
  }

  #tellWho (): void {
    this.#log.info({ workers: this.pids }, 'workers serve')
  }

  async #askAll (except?: Member): Promise<Figures[]> {
    const asked = [...this.#members.values()].filter((member) => member !== except && member.isReady)
    return (await Promise.all(asked.map(async (member) => await this.#ask(member)))).filter((figures) => figures !== null)
  }

  /** What it told last, if it does not answer. */
  async #ask (member: Member): Promise<Figures | null> {
    const id = ++this.#ids
    return await new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#asked.delete(id)
        resolve(member.last)
      }, PATIENCE)
      this.#asked.set(id, (figures) => {
        clearTimeout(timer)
        resolve(figures)
      })
      tell(member, { type: 'tell', id })
    })
  }
}

/** Milliseconds. */
function pauseAfter (failures: number): number {
  return failures === 0 ? 0 : Math.min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
}

function tell ({ worker }: Member, message: ToWorker): void {
  // One that ends is heard of otherwise.
  if (worker.isConnected()) worker.send(message, undefined, () => {})
}
