/** Weight of the newest time in the mean. */
const WEIGHT = 0.1
/** What is assumed while nothing is known, in milliseconds. */
const UNKNOWN = 1_000
/** Longest estimate, in seconds; the spread on top of it stays within 30. */
const MAX_ESTIMATE = 13
/** Seconds over which refused clients are spread at least. */
const SPREAD = 4

/** How long slots were held lately. */
export class HoldTimes {
  #mean: number | null = null

  /** In milliseconds. */
  get mean (): number {
    return this.#mean ?? UNKNOWN
  }

  add (milliseconds: number): void {
    this.#mean = this.#mean === null ? milliseconds : this.#mean + WEIGHT * (milliseconds - this.#mean)
  }

  /**
   * Whole seconds, 1 to 30, after which a refused client may try again: when those who wait now will have been served, and
   * spread from there on, so that clients who were refused together do not come back together. `random` is from 0 to below 1.
   */
  retryAfter (waiting: number, slots: number, random: number): number {
    const seconds = Math.ceil(this.mean * (waiting + 1) / slots / 1_000)
    const estimate = Math.min(Math.max(seconds, 1), MAX_ESTIMATE)
    return estimate + Math.floor(random * (estimate + SPREAD))
  }
}
