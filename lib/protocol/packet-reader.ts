import { HEADER_LENGTH, packetLength } from './pkt-line.ts'

/**
 * `oversized` and `invalid` have a length that no packet may have. The first, by up to three bytes, still fits into git's
 * buffer (pkt-line.c, packet_read_with_status).
 */
export type Packet =
  | { readonly kind: 'data', readonly payload: Buffer }
  | { readonly kind: 'flush' | 'delimiter' | 'response-end' | 'oversized' | 'invalid' }

const NOTHING: Buffer = Buffer.alloc(0)
/** The packets without a payload, by their length. */
const SPECIAL: readonly Packet[] = [{ kind: 'flush' }, { kind: 'delimiter' }, { kind: 'response-end' }]
const OVERSIZED: Packet = { kind: 'oversized' }
const INVALID: Packet = { kind: 'invalid' }
const OVERSIZED_HEADER = /^fff[1-3]$/i

/**
 * Cuts bytes into packets, however they are split (gitprotocol-common(5), "pkt-line Format"). Keeps nothing but a packet that a
 * chunk ends in, 64 KiB at most, and that only after its length was judged.
 */
export class PacketReader {
  #chunk: Buffer = NOTHING
  #offset = 0
  readonly #header: Buffer = Buffer.alloc(HEADER_LENGTH)
  #headerFilled = 0
  /** What the header says, once it is whole. */
  #length = 0
  #payload: Buffer | null = null
  #payloadFilled = 0
  #announced = 0

  /** Takes the next bytes, when {@link next} has answered null. They must not change until it does so again. */
  feed (chunk: Buffer): void {
    this.#chunk = chunk
    this.#offset = 0
  }

  /**
   * The next packet, or null when more bytes are needed. A payload is valid until the next call. Nothing can be read behind an
   * oversized or invalid packet: it comes again and again.
   */
  next (): Packet | null {
    const packet = this.#fillHeader() ? this.#packet() : null
    if (packet === null) this.feed(NOTHING)
    return packet
  }

  /** Length of all packets so far, headers included; an unfinished one counts whole, as soon as its header is there. */
  get announced (): number {
    return this.#announced
  }

  /** Bytes of a packet that has begun and is not whole; the header of an oversized or invalid one. */
  get partial (): Buffer {
    return Buffer.concat([this.#header.subarray(0, this.#headerFilled), this.#payload?.subarray(0, this.#payloadFilled) ?? NOTHING])
  }

  /** Bytes of the last chunk behind the packets read so far. */
  get rest (): Buffer {
    return this.#chunk.subarray(this.#offset)
  }

  #fillHeader (): boolean {
    if (this.#headerFilled === HEADER_LENGTH) return true
    this.#headerFilled += this.#copyTo(this.#header, this.#headerFilled)
    if (this.#headerFilled < HEADER_LENGTH) return false
    this.#length = packetLength(this.#header)
    this.#announced += Math.max(HEADER_LENGTH, this.#length)
    return true
  }

  #packet (): Packet | null {
    if (this.#length < 0) return OVERSIZED_HEADER.test(this.#header.toString('latin1')) ? OVERSIZED : INVALID
    if (this.#length < HEADER_LENGTH) {
      this.#headerFilled = 0
      return SPECIAL[this.#length] ?? INVALID
    }
    const payload = this.#readPayload(this.#length - HEADER_LENGTH)
    if (payload === null) return null
    this.#headerFilled = 0
    return { kind: 'data', payload }
  }

  #readPayload (size: number): Buffer | null {
    if (this.#payload === null && size <= this.#chunk.length - this.#offset) {
      this.#offset += size
      return this.#chunk.subarray(this.#offset - size, this.#offset)
    }
    const payload = this.#payload ??= Buffer.allocUnsafe(size)
    this.#payloadFilled += this.#copyTo(payload, this.#payloadFilled)
    if (this.#payloadFilled < size) return null
    this.#payload = null
    this.#payloadFilled = 0
    return payload
  }

  /** How many bytes of the chunk were copied. */
  #copyTo (target: Buffer, start: number): number {
    const copied = this.#chunk.copy(target, start, this.#offset)
    this.#offset += copied
    return copied
  }
}
