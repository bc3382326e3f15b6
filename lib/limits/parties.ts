import { LinkedList, type Link } from './linked-list.ts'
import { Tally } from './tally.ts'

/** A repository or a user: requests that share a limit, and that take turns with those of others. */
export class Party {
  readonly key: string
  /** How many of its requests may run at once. */
  readonly max: number
  running: number = 0
  /** Lanes of it with somebody in them. */
  lanes: number = 0
  /** A repository's lanes, or those of a user's that are parked, in the order of their turns. */
  readonly order: LinkedList<Lane> = new LinkedList()
  /** Its place among all who take turns. */
  turn: Link<Party> | null = null

  constructor (key: string, max: number) {
    this.key = key
    this.max = max
  }

  get isOpen (): boolean {
    return this.running < this.max
  }
}

export class Repository extends Party {
  readonly byUser: Map<Party, Lane> = new Map()
  /** How many wait in each lane. */
  readonly tally: Tally<Lane> = new Tally()
}

/** Those who wait for one repository on behalf of one user, in order of arrival. */
export class Lane {
  readonly repository: Repository
  readonly user: Party
  readonly waiting: LinkedList<Waiter> = new LinkedList()
  /** In the repository's order. */
  link: Link<Lane>
  /** In the user's order, while the repository is parked. */
  parked: Link<Lane> | null = null

  constructor (repository: Repository, user: Party) {
    this.repository = repository
    this.user = user
    this.link = repository.order.push(this)
  }
}

/** What a running request occupies. */
export interface Place {
  readonly repository: Repository
  readonly user: Party
}

/** One who waits for a place. */
export interface Waiter {
  give (place: Place): void
  refuse (error: unknown): void
}

/** Where a waiter waits. */
export interface Waiting {
  readonly lane: Lane
  readonly link: Link<Waiter>
}
