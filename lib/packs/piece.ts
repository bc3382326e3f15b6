import { release } from '../limits/release.ts'

/**
 * A part of an answer in memory. The window that it lies in and the connections that are sending it hold it; when the last of
 * them lets go, its memory is free at once (see {@link release}).
 */
export class Piece {
  readonly start: number
  readonly bytes: Buffer
  readonly #owned: boolean
  #holders = 1

  /** `owned`: nobody else has `bytes`. */
  constructor (start: number, bytes: Buffer, owned: boolean) {
    this.start = start
    this.bytes = bytes
    this.#owned = owned
  }

  get end (): number {
    return this.start + this.bytes.length
  }

  hold (): void {
    this.#holders++
  }

  letGo (): void {
    if (--this.#holders === 0 && this.#owned) release(this.bytes)
  }
}
