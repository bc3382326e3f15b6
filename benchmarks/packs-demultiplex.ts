import { createHash, type Hash } from 'node:crypto'

const CHECKSUM = 20
const BAND_PACK = 1
const BAND_ERROR = 3

/**
 * Takes the pack out of the answer to a v2 fetch (gitprotocol-v2(5), "packfile" section: side-band packets), and checks it: a
 * pack ends with the SHA-1 of all before (gitformat-pack(5)).
 */
export class Demultiplexer {
  packBytes = 0
  /** A flush packet has ended the answer. */
  ended = false
  error = ''
  readonly #onPack: (bytes: Buffer) => void
  readonly #hash: Hash = createHash('sha1')
  /** The last bytes of the pack so far; they may be its checksum. */
  #tail: Buffer = Buffer.alloc(0)
  #inPack = false
  /** Four digits, and the band where there is one, as far as they have come. */
  #head = ''
  #band = 0
  #left = 0
  /** The current packet before the pack begins. */
  #text = ''

  constructor (onPack: (bytes: Buffer) => void = () => {}) {
    this.#onPack = onPack
  }

  push (bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#left === 0) {
        this.#readHead(String.fromCharCode(bytes[at] as number))
        at++
        continue
      }
      const end = Math.min(bytes.length, at + this.#left)
      this.#left -= end - at
      this.#take(bytes.subarray(at, end))
      at = end
    }
  }

  /** The pack has ended, and its checksum is right. */
  get intact (): boolean {
    return this.ended && this.error === '' && this.packBytes > CHECKSUM && this.#hash.copy().digest().equals(this.#tail)
  }

  #readHead (character: string): void {
    this.#head += character
    const length = Number.parseInt(this.#head.slice(0, 4), 16)
    if (this.#head.length < 4) return
    if (this.#inPack && length > 4) {
      if (this.#head.length < 5) return
      this.#band = character.charCodeAt(0)
      this.#left = length - 5
    } else {
      this.#band = 0
      this.#left = Math.max(0, length - 4)
      this.#text = ''
      if (length === 0) this.ended = true
      if (Number.isNaN(length)) this.error ||= `no packet: ${this.#head}`
    }
    this.#head = ''
  }

  #take (bytes: Buffer): void {
    if (this.#band === BAND_PACK) {
      this.#onPack(bytes)
      this.packBytes += bytes.length
      const pending = bytes.length >= CHECKSUM ? this.#tail : Buffer.concat([this.#tail, bytes])
      if (bytes.length >= CHECKSUM) {
        this.#hash.update(pending).update(bytes.subarray(0, -CHECKSUM))
        this.#tail = Buffer.from(bytes.subarray(-CHECKSUM))
      } else {
        this.#hash.update(pending.subarray(0, -CHECKSUM))
        this.#tail = Buffer.from(pending.subarray(-CHECKSUM))
      }
    } else if (this.#band === BAND_ERROR) {
      this.error += bytes.toString('latin1')
    } else if (!this.#inPack) {
      this.#text += bytes.toString('latin1')
      if (this.#left > 0) return
      if (this.#text === 'packfile\n') this.#inPack = true
      if (this.#text.startsWith('ERR ')) this.error = this.#text
    }
  }
}
