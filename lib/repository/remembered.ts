import { setImmediate as nextIteration } from 'node:timers/promises'
import type { Witness } from './witness.ts'

export interface Loaded<T> {
  value: T
  /** Proves the value for as long as it is unchanged; null when nothing can prove it. */
  witness: Witness | null
}

/**
 * A value that is loaded again when what it was made from has changed. Whoever asks gets a value that was
 * verified after the question; everybody who asks before a look begins shares that look, so that a hundred requests in
 * one turn of the event loop cost one.
 */
export class Remembered<T> {
  readonly #load: (previous: Witness | undefined) => Promise<Loaded<T>>
  #known: Loaded<T> | undefined
  #next: Promise<T> | undefined
  #running: Promise<unknown> = Promise.resolve()

  constructor (load: (previous: Witness | undefined) => Promise<Loaded<T>>) {
    this.#load = load
  }

  /** The value as of now. The same object as before when nothing has changed. */
  current (): Promise<T> {
    this.#next ??= this.#begin()
    return this.#next
  }

  async #begin (): Promise<T> {
    await this.#running
    await nextIteration()
    // From here on the look has begun, and whoever asks wants a later one.
    this.#next = undefined
    const look = this.#verify()
    this.#running = look.catch(() => {})
    return await look
  }

  async #verify (): Promise<T> {
    const known = this.#known
    if (known?.witness != null && await known.witness.unchanged()) return known.value
    const loaded = await this.#load(known?.witness ?? undefined)
    this.#known = loaded
    return loaded.value
  }
}
