import { HEADER_LENGTH, packetLength } from './pkt-line.ts'

/** `special` is a delimiter or a response end. Neither in a push nor in its answer is there a way to go on behind it or an `invalid` one. */
export type Packet =
  | { kind: 'flush' }
  | { kind: 'special' }
  | { kind: 'invalid' }
  | { kind: 'data', payload: Buffer }

const NOTHING: Buffer = Buffer.alloc(0)

/** Cuts a stream into packets, however it is split. Holds one unfinished packet at most. */
export class PacketReader {
  #chunk: Buffer = NOTHING
  #offset = 0
  readonly #header: Buffer = Buffer.alloc(HEADER_LENGTH)
  #headerFilled = 0
  #payload: Buffer | null = null
  #payloadFilled = 0
  #announced = 0

  /** Gives the next bytes; those before them must have been read until {@link next} answered null. */
  feed (chunk: Buffer): void {
    this.#chunk = chunk
    this.#offset = 0
  }

  /** Bytes of the last chunk that belong to the packets read so far. */
  get consumed (): number {
    return this.#offset
  }

  /** Length of all packets so far, headers included; an unfinished one counts whole. */
  get announced (): number {
    return this.#announced
  }

  /** Bytes of an unfinished packet. */
  get partial (): Buffer {
    return Buffer.concat([this.#header.subarray(0, this.#headerFilled), this.#payload?.subarray(0, this.#payloadFilled) ?? NOTHING])
  }

  /** Bytes of the last chunk behind the packets read so far. */
  get rest (): Buffer {
    return this.#chunk.subarray(this.#offset)
  }

  /** The next packet, null when more bytes are needed. A payload is valid until the next call. */
  next (): Packet | null {
    if (this.#payload === null) {
      if (!this.#fillHeader()) return null
      const length = packetLength(this.#header)
      this.#announced += Math.max(HEADER_LENGTH, length)
      if (length < HEADER_LENGTH) return this.#withoutPayload(length)
      const size = length - HEADER_LENGTH
      if (this.#chunk.length - this.#offset >= size) {
        this.#headerFilled = 0
        this.#offset += size
        return { kind: 'data', payload: this.#chunk.subarray(this.#offset - size, this.#offset) }
      }
      this.#payload = Buffer.allocUnsafe(size)
      this.#payloadFilled = 0
    }
    return this.#fillPayload(this.#payload)
  }

  #fillHeader (): boolean {
    const taken = this.#chunk.copy(this.#header, this.#headerFilled, this.#offset)
    this.#offset += taken
    this.#headerFilled += taken
    return this.#headerFilled === HEADER_LENGTH
  }

  #fillPayload (payload: Buffer): Packet | null {
    const taken = this.#chunk.copy(payload, this.#payloadFilled, this.#offset)
    this.#offset += taken
    this.#payloadFilled += taken
    if (this.#payloadFilled < payload.length) return null
    this.#payload = null
    this.#headerFilled = 0
    return { kind: 'data', payload }
  }

  #withoutPayload (length: number): Packet {
    // Any other stays in `partial`: whoever passes the stream on can pass it on as it came.
    if (length !== 0) return { kind: length < 0 ? 'invalid' : 'special' }
    this.#headerFilled = 0
    return { kind: 'flush' }
  }
}
