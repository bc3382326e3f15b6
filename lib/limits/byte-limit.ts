import { TooLargeError } from '../errors.ts'

/** Bytes that may always come out of a compressed body. */
const UNSUSPICIOUS = 1_048_576
/**
 * How many times its size a compressed body may have. Deflate reaches 1,030 with nothing but zeros; object names, which a long
 * request consists of, stay below 3, and a pack, which is compressed already, about 1.
 */
const MAX_RATIO = 100

/** Counts the bytes of one request body, as it came and as git gets it, so that neither a long one nor a gzip bomb goes on for ever. */
export class ByteLimit {
  readonly #maxBytes: number
  #received: number | null = null
  #given = 0

  /** `maxBytes` is what git may be given. */
  constructor (maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** These bytes came from the client, compressed. Of a body that is not, there is nothing to compare. */
  receive (bytes: number): void {
    this.#received = (this.#received ?? 0) + bytes
  }

  /** git would get these bytes. Answers why it must not, or null. */
  give (bytes: number): Error | null {
    this.#given += bytes
    if (this.#given > this.#maxBytes) return new TooLargeError(`more than ${this.#maxBytes} bytes`)
    if (this.#received === null || this.#given <= Math.max(UNSUSPICIOUS, MAX_RATIO * this.#received)) return null
    return new TooLargeError(`more than ${MAX_RATIO} times its compressed size`)
  }
}
