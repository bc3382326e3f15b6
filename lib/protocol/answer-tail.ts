import { HEADER_LENGTH, packetLength } from './pkt-line.ts'

/** Payload bytes at the head of a packet that tell an error packet from another. */
const ERROR_MARK = Buffer.from('ERR ')
/** Side band 3 carries a fatal error message (gitprotocol-pack(5), "Packfile Data"). */
const BAND_ERROR = 3

/**
 * Follows the packets of an answer while it streams by and knows how it ended so far, in
 * constant memory. Needed because an exit code says little: upload-pack exits 128 after a
 * complete `ERR not our ref`, and before 2.30 also after ordinary shallow fetches, while a
 * pack that was cut off must never look complete.
 */
export class AnswerTail {
  readonly #header: Buffer = Buffer.alloc(HEADER_LENGTH)
  #headerFilled = 0
  #payloadLeft = 0
  readonly #mark: Buffer = Buffer.alloc(ERROR_MARK.length)
  #markFilled = 0
  #lastWasFlush = false
  #raw = false

  /** Takes the next bytes of the answer, however they are split. */
  update (chunk: Buffer): void {
    let offset = 0
    while (offset < chunk.length && !this.#raw) {
      if (this.#payloadLeft === 0) offset = this.#readHeader(chunk, offset)
      else offset = this.#skipPayload(chunk, offset)
    }
  }

  /**
   * True when the answer stopped behind a flush or an error message, which the client can
   * act on; false within a packet, and for anything that is not framed (a v0 pack without side-band).
   */
  get complete (): boolean {
    return this.betweenPackets && (this.#lastWasFlush || this.#isError())
  }

  /** True when another packet could follow, an error message for example. */
  get betweenPackets (): boolean {
    return !this.#raw && this.#headerFilled === 0 && this.#payloadLeft === 0
  }

  #readHeader (chunk: Buffer, start: number): number {
    const taken = Math.min(HEADER_LENGTH - this.#headerFilled, chunk.length - start)
    chunk.copy(this.#header, this.#headerFilled, start, start + taken)
    this.#headerFilled += taken
    if (this.#headerFilled < HEADER_LENGTH) return start + taken
    const length = packetLength(this.#header)
    if (length < 0) this.#raw = true
    this.#lastWasFlush = length === 0
    this.#payloadLeft = Math.max(0, length - HEADER_LENGTH)
    this.#headerFilled = 0
    this.#markFilled = 0
    return start + taken
  }

  #skipPayload (chunk: Buffer, start: number): number {
    const taken = Math.min(this.#payloadLeft, chunk.length - start)
    if (this.#markFilled < this.#mark.length) {
      const marked = Math.min(this.#mark.length - this.#markFilled, taken)
      chunk.copy(this.#mark, this.#markFilled, start, start + marked)
      this.#markFilled += marked
    }
    this.#payloadLeft -= taken
    return start + taken
  }

  #isError (): boolean {
    if (this.#markFilled > 0 && this.#mark[0] === BAND_ERROR) return true
    return this.#markFilled === ERROR_MARK.length && this.#mark.equals(ERROR_MARK)
  }
}
