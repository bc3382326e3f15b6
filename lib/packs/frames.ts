import { once } from 'node:events'
import { Transform, type TransformCallback } from 'node:stream'

/** Every chunk follows its length (32 bits, big endian). A length of 0 and one byte, the index of its ending, are the end of a whole answer. */
const HEADER = 4
/** Good for those who wait and no longer; may be kept; says why git refuses what was asked for, and is not kept either. */
const ENDINGS = ['passing', 'lasting', 'refused'] as const

export type Ending = typeof ENDINGS[number]

/** Wraps an answer for another process, which must not take a death for the end. */
export function frames (ending: Promise<Ending>): Transform {
  return new Transform({
    transform (chunk: Buffer, _encoding, callback) {
      const header = Buffer.allocUnsafe(HEADER)
      header.writeUInt32BE(chunk.length)
      this.push(header)
      callback(null, chunk)
    },
    flush (callback) {
      ending.then((name) => callback(null, Buffer.from([0, 0, 0, 0, ENDINGS.indexOf(name)])), callback)
    }
  })
}

/** An answer that another process makes; it ends well only if it is whole. */
export class RemoteAnswer extends Transform {
  /** False, after the end, when it is good for those who wait and no longer. */
  holds: boolean = true
  /** True, after the end, when it says why git refuses what was asked for. */
  refused: boolean = false
  #header: Buffer = Buffer.alloc(0)
  /** Bytes of the chunk that have not come yet. */
  #missing = 0
  #isWhole = false
  #hasBegun = false

  constructor () {
    super()
    // Who reads it hears of an error; without this one, an error before that would be nobody's.
    this.on('error', () => {})
  }

  /** Resolves with true when there is something to read, with false when it ended before. */
  async begun (): Promise<boolean> {
    while (!this.#hasBegun && !this.#isWhole && !this.destroyed && !this.writableFinished) {
      await Promise.race([once(this, 'begun'), new Promise((resolve) => this.once('close', resolve))]).catch(() => {})
    }
    return this.#hasBegun || this.#isWhole
  }

  override _transform (chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    let rest = chunk
    while (rest.length > 0) {
      if (this.#isWhole) return callback(new Error('something follows the end of an answer'))
      rest = this.#missing > 0 ? this.#takeBytes(rest) : this.#takeHeader(rest)
    }
    callback()
  }

  override _flush (callback: TransformCallback): void {
    callback(this.#isWhole ? null : new Error('the process that made this answer ended'))
  }

  #takeBytes (rest: Buffer): Buffer {
    const bytes = rest.subarray(0, this.#missing)
    this.#missing -= bytes.length
    this.push(bytes)
    this.#begin()
    return rest.subarray(bytes.length)
  }

  #takeHeader (rest: Buffer): Buffer {
    const wanted = this.#header.length >= HEADER ? HEADER + 1 : HEADER
    const taken = Math.min(wanted - this.#header.length, rest.length)
    this.#header = Buffer.concat([this.#header, rest.subarray(0, taken)])
    if (this.#header.length === HEADER) {
      this.#missing = this.#header.readUInt32BE()
      if (this.#missing > 0) this.#header = Buffer.alloc(0)
    } else if (this.#header.length > HEADER) {
      const ending = ENDINGS[this.#header[HEADER]!]
      this.holds = ending === 'lasting'
      this.refused = ending === 'refused'
      this.#isWhole = true
      this.#begin()
    }
    return rest.subarray(taken)
  }

  #begin (): void {
    if (this.#hasBegun) return
    this.#hasBegun = true
    this.emit('begun')
  }
}
