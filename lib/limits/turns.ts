import { LinkedList, type Link } from './linked-list.ts'
import { Lane, Party, Repository, type Place, type Waiter, type Waiting } from './parties.ts'
import { Tally } from './tally.ts'

export interface Shares {
  maxPerRepository: number
  maxPerUser: number
}

/**
 * Whose turn it is. Repositories take turns, and within one its users; whoever is at a limit is passed over.
 *
 * No step looks at all who wait. Few can be at their limit at a time: with n places in all, n / share. A repository where only
 * such users wait is parked with them, and they take a turn in its place, so that it is not looked at in vain again.
 */
export class Turns {
  readonly #shares: Shares
  readonly #repositories = new Map<string, Repository>()
  readonly #users = new Map<string, Party>()
  readonly #turns = new LinkedList<Party>()
  readonly #tally = new Tally<Repository>()

  constructor (shares: Shares) {
    this.#shares = shares
  }

  /** Repositories and users of which something runs or waits; of others nothing is remembered. */
  get size (): number {
    return this.#repositories.size + this.#users.size
  }

  /** Counts a request as running if its limits allow that. It passes nobody by: who waits, waits for one of these limits. */
  enter (repositoryKey: string, userKey: string): Place | null {
    if (this.#repositories.get(repositoryKey)?.isOpen === false || this.#users.get(userKey)?.isOpen === false) return null
    return occupy(this.#placeOf(repositoryKey, userKey))
  }

  leave (place: Place): void {
    place.repository.running--
    place.user.running--
    this.#forgetIdle(place)
  }

  wait (repositoryKey: string, userKey: string, waiter: Waiter): Waiting {
    const place = this.#placeOf(repositoryKey, userKey)
    const lane = place.repository.byUser.get(place.user) ?? this.#openLane(place)
    this.#tally.change(lane.repository, 1)
    lane.repository.tally.change(lane, 1)
    return { lane, link: lane.waiting.push(waiter) }
  }

  giveUp ({ lane, link }: Waiting): void {
    this.#remove(lane, link)
    this.#forgetIdle(lane)
  }

  /** Takes the next who may run, and counts it as running; null when nobody may. */
  next (): { waiter: Waiter, place: Place } | null {
    let turn = this.#turns.first
    while (turn !== null) {
      const party = turn.value
      turn = turn.next
      if (!party.isOpen) continue
      const lane = runnable(party)
      if (lane !== null) return this.#take(lane, party)
      // Its own limit would let it run, so all who wait for it are at theirs.
      if (party instanceof Repository) this.#park(party)
    }
    return null
  }

  /**
   * Who has to make room in a full queue for one more of this repository and user: the last of those with most waiting, if
   * it still has no fewer then. Otherwise a flood would keep all others from waiting.
   */
  evictable (repositoryKey: string, userKey: string): Waiter | null {
    const own = this.#repositories.get(repositoryKey)
    const longest = this.#tally.top
    if (longest !== undefined && this.#tally.of(longest) >= this.#tally.of(own) + 2) return lastOf(longest)
    if (own === undefined) return null
    const user = this.#users.get(userKey)
    const lane = user === undefined ? undefined : own.byUser.get(user)
    return own.tally.of(own.tally.top) >= own.tally.of(lane) + 2 ? lastOf(own) : null
  }

  #take (lane: Lane, party: Party): { waiter: Waiter, place: Place } | null {
    const link = lane.waiting.first
    if (link === null) return null
    this.#remove(lane, link)
    if (lane.waiting.length > 0) toEnd(lane)
    if (party.turn !== null) {
      this.#turns.remove(party.turn)
      party.turn = this.#turns.push(party)
    }
    return { waiter: link.value, place: occupy(lane) }
  }

  #remove (lane: Lane, link: Link<Waiter>): void {
    const { repository, user } = lane
    lane.waiting.remove(link)
    this.#tally.change(repository, -1)
    repository.tally.change(lane, -1)
    if (lane.waiting.length > 0) return
    this.#unpark(lane)
    repository.order.remove(lane.link)
    repository.byUser.delete(user)
    repository.lanes--
    user.lanes--
    if (repository.lanes === 0) this.#endTurns(repository)
  }

  #openLane ({ repository, user }: Place): Lane {
    for (let link = repository.order.first; link !== null && repository.turn === null; link = link.next) this.#unpark(link.value)
    repository.turn ??= this.#turns.push(repository)
    const lane = new Lane(repository, user)
    repository.byUser.set(user, lane)
    repository.lanes++
    user.lanes++
    if (repository.isOpen && runnable(repository) === null) this.#park(repository)
    return lane
  }

  #park (repository: Repository): void {
    this.#endTurns(repository)
    for (let link = repository.order.first; link !== null; link = link.next) {
      const lane = link.value
      lane.parked = lane.user.order.push(lane)
      lane.user.turn ??= this.#turns.push(lane.user)
    }
  }

  #unpark (lane: Lane): void {
    if (lane.parked === null) return
    lane.user.order.remove(lane.parked)
    lane.parked = null
    if (lane.user.order.length === 0) this.#endTurns(lane.user)
  }

  #endTurns (party: Party): void {
    if (party.turn !== null) this.#turns.remove(party.turn)
    party.turn = null
  }

  #placeOf (repositoryKey: string, userKey: string): Place {
    const { maxPerRepository, maxPerUser } = this.#shares
    const repository = this.#repositories.get(repositoryKey) ?? new Repository(repositoryKey, maxPerRepository)
    const user = this.#users.get(userKey) ?? new Party(userKey, maxPerUser)
    this.#repositories.set(repositoryKey, repository)
    this.#users.set(userKey, user)
    return { repository, user }
  }

  #forgetIdle ({ repository, user }: Place): void {
    if (isIdle(repository)) this.#repositories.delete(repository.key)
    if (isIdle(user)) this.#users.delete(user.key)
  }
}

function isIdle ({ running, lanes }: Party): boolean {
  return running === 0 && lanes === 0
}

function occupy ({ repository, user }: Place): Place {
  repository.running++
  user.running++
  return { repository, user }
}

/** The next lane of which one may run; `party` itself may. */
function runnable (party: Party): Lane | null {
  for (let link = party.order.first; link !== null; link = link.next) {
    const { repository, user } = link.value
    if (repository.isOpen && user.isOpen) return link.value
  }
  return null
}

/** Behind the other users of its repository, and, parked, behind the other repositories of its user. */
function toEnd (lane: Lane): void {
  const { repository, user, parked } = lane
  repository.order.remove(lane.link)
  lane.link = repository.order.push(lane)
  if (parked === null) return
  user.order.remove(parked)
  lane.parked = user.order.push(lane)
}

function lastOf (repository: Repository): Waiter | null {
  return repository.tally.top?.waiting.last?.value ?? null
}
