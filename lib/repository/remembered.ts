import { setImmediate as nextIteration } from 'node:timers/promises'
import type { Witness } from './witness.ts'

export interface Loaded<T> {
  value: T
  /** Proves the value for as long as it is unchanged; null when nothing can prove it. */
  witness: Witness | null
}

/**
 * A value that is loaded again when what it was made from has changed. Whoever asks gets a value from a look that began
 * after the question. The first to ask in a turn of the event loop starts one at once; all others of that turn share
 * the next, so that a hundred requests cost two.
 */
export class Remembered<T> {
  readonly #load: (previous: Witness | undefined) => Promise<Loaded<T>>
  #known: Loaded<T> | undefined
  /** The look that has not begun yet. */
  #next: Promise<T> | undefined
  /** The last look that began. */
  #last: Promise<unknown> = Promise.resolve()
  #isLooking = false
  #beganThisTurn = false

  constructor (load: (previous: Witness | undefined) => Promise<Loaded<T>>) {
    this.#load = load
  }

  /** The value as of now. The same object as before when nothing has changed. */
  current (): Promise<T> {
    if (!this.#isLooking && !this.#beganThisTurn && this.#next === undefined) return this.#look()
    this.#next ??= this.#lookLater()
    return this.#next
  }

  async #lookLater (): Promise<T> {
    await this.#last
    await nextIteration()
    // From here on the look has begun, and whoever asks wants a later one.
    this.#next = undefined
    return await this.#look()
  }

  #look (): Promise<T> {
    this.#isLooking = true
    this.#beganThisTurn = true
    setImmediate(() => { this.#beganThisTurn = false })
    const look = this.#verify()
    const ended = (): void => { this.#isLooking = false }
    this.#last = look.then(ended, ended)
    return look
  }

  async #verify (): Promise<T> {
    const known = this.#known
    if (known?.witness != null && await known.witness.unchanged()) return known.value
    const loaded = await this.#load(known?.witness ?? undefined)
    this.#known = loaded
    return loaded.value
  }
}
