import { HEADER_LENGTH, packetLength } from './pkt-line.ts'

export type Packet =
  | { readonly kind: 'data', readonly payload: Buffer }
  | { readonly kind: 'flush' | 'delimiter' | 'response-end' | 'oversized' | 'invalid' }

/** The packets without a payload, by their length. */
const SPECIAL: readonly Packet[] = [{ kind: 'flush' }, { kind: 'delimiter' }, { kind: 'response-end' }]
const OVERSIZED: Packet = { kind: 'oversized' }
const INVALID: Packet = { kind: 'invalid' }
/** Up to three bytes beyond the protocol's limit still fit into git's buffer (pkt-line.c, packet_read_with_status). */
const OVERSIZED_HEADER = /^fff[1-3]$/i

/** Cuts bytes into packets, however they are split. Copies only a packet that a chunk ends in: 64 KiB at most. */
export class PacketReader {
  #chunk: Buffer = Buffer.alloc(0)
  #offset = 0
  readonly #header: Buffer = Buffer.alloc(HEADER_LENGTH)
  #headerFilled = 0
  #payload: Buffer | null = null
  #payloadFilled = 0

  /** Takes the next bytes, when {@link next} has answered null. They must not change until it does so again. */
  feed (chunk: Buffer): void {
    this.#chunk = chunk
    this.#offset = 0
  }

  /** The next packet, or null when more bytes are needed. Nothing can be read behind an oversized or invalid one. */
  next (): Packet | null {
    if (this.#payload === null) {
      if (!this.#fillHeader()) return null
      const length = packetLength(this.#header)
      if (length < 0) return OVERSIZED_HEADER.test(this.#header.toString('latin1')) ? OVERSIZED : INVALID
      this.#headerFilled = 0
      if (length < HEADER_LENGTH) return SPECIAL[length] ?? INVALID
      const wanted = length - HEADER_LENGTH
      if (wanted <= this.#chunk.length - this.#offset) {
        this.#offset += wanted
        return { kind: 'data', payload: this.#chunk.subarray(this.#offset - wanted, this.#offset) }
      }
      this.#payload = Buffer.allocUnsafe(wanted)
      this.#payloadFilled = 0
    }
    return this.#fillPayload(this.#payload)
  }

  /** True while no packet has begun that is not whole. */
  get between (): boolean {
    return this.#headerFilled === 0 && this.#payload === null
  }

  /** True when all bytes that were fed are used up. */
  get drained (): boolean {
    return this.#offset === this.#chunk.length
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
    return { kind: 'data', payload }
  }
}
