import type { FileHandle } from 'node:fs/promises'
import { ServerResponse } from 'node:http'
import { Http2ServerResponse } from 'node:http2'
import { Readable } from 'node:stream'
import { release } from '../limits/release.ts'
import type { Part } from './chunk-window.ts'
import type { Piece } from './piece.ts'

/** Most bytes that are read from a file at once; one answer of 300 MB goes out at 1.9 GB/s with it. */
const PIECE = 1024 * 1024

/** What there is to read at some place: bytes in memory, so many in a file, nothing yet, or the end. */
export type Place = Part | { file: FileHandle, length: number } | 'later' | 'end'

/** What a {@link SpoolReader} reads. Whoever answers `later` wakes the reader when there is more. */
export interface Readings {
  at (position: number): Place
  /** The reader has taken everything before its position. */
  moved? (reader: SpoolReader): void
  /** The reader needs nothing more. */
  left? (reader: SpoolReader): void
}

/**
 * One client's way through an answer, at its own speed: from memory without a copy where the bytes are there, otherwise from
 * the file. To a response it goes through one buffer that is filled again when the connection has taken it; any other
 * stream (a host's compression) may keep what it is given, and gets new ones.
 */
export class SpoolReader extends Readable {
  /** Bytes that this reader has taken. */
  position: number = 0
  readonly #readings: Readings
  #isWanted = false
  #isReading = false
  #toResponse = false
  /** The one buffer, and whether the connection still needs it. */
  #piece: Buffer | null = null
  #isLent = false
  /** Parts of an answer in memory on their way to the connection. */
  readonly #held: Map<Buffer, Piece> = new Map()

  constructor (readings: Readings) {
    super({ highWaterMark: 65_536 })
    this.#readings = readings
  }

  override pipe<T extends NodeJS.WritableStream> (destination: T, options?: { end?: boolean }): T {
    if (!(destination instanceof ServerResponse) && !(destination instanceof Http2ServerResponse)) return super.pipe(destination, options)
    this.#toResponse = true
    this.on('data', (chunk: Buffer) => {
      if (!destination.write(chunk, () => this.#sent(chunk))) this.pause()
    })
    destination.on('drain', () => this.resume())
    if (options?.end !== false) this.once('end', () => destination.end())
    return destination
  }

  /** There may be more to read. */
  wake (): void {
    if (!this.#isWanted || this.#isReading || this.#isLent || this.destroyed) return
    const place = this.#readings.at(this.position)
    if (place === 'later') return
    this.#isWanted = false
    if (place === 'end') this.push(null)
    else if ('piece' in place) this.#share(place)
    else this.#readFile(place.file, Math.min(place.length, PIECE))
  }

  override _read (): void {
    this.#isWanted = true
    this.wake()
  }

  override _destroy (error: Error | null, callback: (error: Error | null) => void): void {
    this.#freePiece()
    this.#readings.left?.(this)
    callback(error)
  }

  /** Whoever is no response may keep what it is given. */
  #share ({ piece, bytes }: Part): void {
    piece.hold()
    if (this.#toResponse) this.#held.set(bytes, piece)
    this.#take(bytes)
  }

  #take (bytes: Buffer): void {
    this.position += bytes.length
    this.#readings.moved?.(this)
    this.push(bytes)
  }

  async #readFile (file: FileHandle, length: number): Promise<void> {
    this.#isReading = true
    const buffer = this.#bufferFor(length)
    try {
      const { bytesRead } = await file.read(buffer, 0, length, this.position)
      this.#isReading = false
      if (this.destroyed) return this.#freePiece()
      if (bytesRead === 0) throw new Error('a file of the pack cache was cut short')
      this.#isLent = buffer === this.#piece
      this.#take(buffer.subarray(0, bytesRead))
    } catch (error) {
      this.#isReading = false
      this.destroy(error as Error)
    }
  }

  #bufferFor (length: number): Buffer {
    if (!this.#toResponse) return Buffer.allocUnsafeSlow(length)
    if (this.#piece === null || this.#piece.length < length) {
      this.#freePiece()
      this.#piece = Buffer.allocUnsafeSlow(length)
    }
    return this.#piece
  }

  /** The connection has taken `chunk`, or is gone. */
  #sent (chunk: Buffer): void {
    this.#held.get(chunk)?.letGo()
    this.#held.delete(chunk)
    if (chunk.buffer !== this.#piece?.buffer) return
    this.#isLent = false
    if (this.destroyed) this.#freePiece()
    else this.wake()
  }

  #freePiece (): void {
    if (this.#piece === null || this.#isLent || this.#isReading) return
    release(this.#piece)
    this.#piece = null
  }
}
