import { availableParallelism } from 'node:os'
import { BusyError, ClosingError } from '../errors.ts'
import { HoldTimes } from './hold-times.ts'
import { onceLeft } from './leaving.ts'
import { LinkedList, type Link } from './linked-list.ts'
import type { Place } from './parties.ts'
import { Turns } from './turns.ts'

export interface AdmissionLimits {
  /** git processes at once. Default twice the processor's cores. */
  maxConcurrent: number
  /** Of these, for one repository. Default three quarters, and at least one: somebody else then finds one free at once. */
  maxPerRepository: number
  /** Of these, for one user, and for one address of anonymous clients. Default three quarters, and at least one. */
  maxPerUser: number
  /** Requests that wait for one. Default 1,000. */
  maxQueued: number
  /** Milliseconds that one waits. Default 30,000. */
  queueTimeout: number
}

/** Who asks to run a git. */
export interface SlotAsker {
  /** What the share per repository is about; one repository has one name. */
  repository: string
  /** The verified user, or null. */
  user: string | null
  /** Stands for the user where there is none. */
  address: string
  /** Aborted when the client has gone. */
  left: AbortSignal
}

/** The right to run one git. */
export interface Slot {
  /** Gives it back, once; more calls do nothing. */
  release (): void
}

/** Why somebody may not run a git now. */
export type Busy = Error & {
  /** Whole seconds, 1 to 30, after which the client may try again. */
  retryAfter: number
}

export interface AdmissionCounters {
  running: number
  queued: number
  /** Refused because the queue was full, or moved out of it for somebody with fewer requests in it. */
  refused: number
  timedOut: number
  /** The longest that anybody has waited so far, in milliseconds. */
  longestWait: number
}

/** For tests. */
export interface Chance {
  /** Milliseconds that never go back. */
  now: () => number
  /** From 0 to below 1. */
  random: () => number
}

interface Queued {
  since: number
  refuse: (error: Error) => void
}

/**
 * Who may run a git now. Repositories take turns, and within one its users; a repository may use every slot of its share while
 * nobody else wants one, and whoever comes then is next.
 */
export class Admission {
  readonly limits: Readonly<AdmissionLimits>
  readonly #chance: Chance
  readonly #turns: Turns
  /** By arrival, which is also the order in which they give up. */
  readonly #queue = new LinkedList<Queued>()
  readonly #holdTimes = new HoldTimes()
  readonly #count = { running: 0, refused: 0, timedOut: 0, longestWait: 0 }
  #isClosed = false
  #timer: NodeJS.Timeout | undefined

  constructor (limits: Partial<AdmissionLimits> = {}, chance: Chance = { now: () => performance.now(), random: Math.random }) {
    const { maxConcurrent = 2 * availableParallelism() } = limits
    const share = Math.max(1, Math.floor(maxConcurrent * 3 / 4))
    this.limits = { maxConcurrent, maxPerRepository: share, maxPerUser: share, maxQueued: 1_000, queueTimeout: 30_000, ...limits }
    this.#chance = chance
    this.#turns = new Turns(this.limits)
  }

  get counters (): AdmissionCounters {
    const oldest = this.#queue.first
    const waits = oldest === null ? 0 : this.#chance.now() - oldest.value.since
    return { ...this.#count, queued: this.#queue.length, longestWait: Math.max(this.#count.longestWait, waits) }
  }

  /** Repositories, users and addresses that are remembered now: those of which something runs or waits. */
  get tracked (): number {
    return this.#turns.size
  }

  /**
   * Resolves when a git may be started, at once if a slot is free. Who leaves after that has the slot all the same.
   *
   * @throws BusyError ({@link Busy}) when the queue is full or the wait was too long; what `asker.left` was aborted with; ClosingError.
   */
  async acquire ({ repository, user, address, left }: SlotAsker): Promise<Slot> {
    left.throwIfAborted()
    if (this.#isClosed) throw new ClosingError()
    // A user may be called like an address.
    const userKey = user === null ? `address ${address}` : `user ${user}`
    const place = this.#count.running < this.limits.maxConcurrent ? this.#turns.enter(repository, userKey) : null
    if (place !== null) return this.#slot(place)
    this.#makeRoom(repository, userKey)
    return await this.#wait(repository, userKey, left)
  }

  /** Refuses those who wait and those who come. Who has a slot keeps it. */
  close (): void {
    this.#isClosed = true
    for (let oldest = this.#queue.first; oldest !== null; oldest = this.#queue.first) oldest.value.refuse(new ClosingError())
  }

  #wait (repository: string, userKey: string, left: AbortSignal): Promise<Slot> {
    return new Promise((resolve, reject) => {
      const refuse = (error: unknown): void => {
        this.#turns.giveUp(waiting)
        end()
        reject(error)
      }
      const waiting = this.#turns.wait(repository, userKey, {
        give: (place) => {
          end()
          resolve(this.#slot(place))
        },
        refuse
      })
      const link = this.#queue.push({ since: this.#chance.now(), refuse })
      const unwatch = onceLeft(left, () => refuse(left.reason))
      const end = (): void => {
        unwatch()
        this.#dequeue(link)
      }
      this.#timer ??= this.#timeOutIn(this.limits.queueTimeout)
    })
  }

  #dequeue (link: Link<Queued>): void {
    this.#queue.remove(link)
    this.#count.longestWait = Math.max(this.#count.longestWait, this.#chance.now() - link.value.since)
    if (this.#queue.length > 0) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** @throws BusyError when nobody has to give way. */
  #makeRoom (repository: string, userKey: string): void {
    if (this.#queue.length < this.limits.maxQueued) return
    this.#count.refused++
    const other = this.#turns.evictable(repository, userKey)
    if (other === null) throw this.#busy()
    other.refuse(this.#busy())
  }

  #slot (place: Place): Slot {
    const since = this.#chance.now()
    let isHeld = true
    this.#count.running++
    return {
      release: () => {
        if (!isHeld) return
        isHeld = false
        this.#count.running--
        this.#holdTimes.add(this.#chance.now() - since)
        this.#turns.leave(place)
        this.#fill()
      }
    }
  }

  /** Gives what is free to those who wait. */
  #fill (): void {
    while (this.#count.running < this.limits.maxConcurrent) {
      const next = this.#turns.next()
      if (next === null) return
      next.waiter.give(next.place)
    }
  }

  /** One timer for all: they wait for the same time, so the first to come is the first to give up. */
  #timeOutIn (milliseconds: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.#timer = undefined
      const { queueTimeout } = this.limits
      for (let oldest = this.#queue.first; oldest !== null; oldest = this.#queue.first) {
        const left = oldest.value.since + queueTimeout - this.#chance.now()
        if (left > 0) {
          this.#timer = this.#timeOutIn(Math.ceil(left))
          return
        }
        this.#count.timedOut++
        oldest.value.refuse(this.#busy())
      }
    }, milliseconds).unref()
  }

  #busy (): Busy {
    const { maxConcurrent } = this.limits
    return Object.assign(new BusyError(), { retryAfter: this.#holdTimes.retryAfter(this.#queue.length, maxConcurrent, this.#chance.random()) })
  }
}
