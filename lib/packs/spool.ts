import { ChunkWindow } from './chunk-window.ts'
import type { MemoryStore } from './memory-store.ts'
import type { PackSource } from './pack-store.ts'
import { SpoolReader, type Place, type Readings } from './spool-reader.ts'
import type { TemporaryFile } from './temporary-file.ts'

/** Bytes that are held in memory besides the file: the newest, for those who read them as they come, and those not yet written. */
const WINDOW = 1024 * 1024
/** Bytes that are written at once, except for the last: each write costs this process a wake-up besides. */
const BATCH = WINDOW / 2
/** Most buffers that are written at once; Linux takes 1,024 (IOV_MAX). */
const MAX_BUFFERS = 512

export interface SpoolOptions {
  /** Lends memory to answers that are small so far. */
  memory: Pick<MemoryStore, 'maxEntryBytes' | 'reserve' | 'giveBack'>
  /** A new file for one that is not. */
  createFile: () => Promise<TemporaryFile>
  /** The file cannot be made, or cannot grow. */
  onTrouble: (error: unknown) => void
  /** The last reader has left. */
  onIdle: () => void
}

/**
 * One answer that grows, read from its start by any number of readers at their own speeds.
 *
 * It lies in memory while it is small, then in a file, so that git never waits for a client. When the file cannot grow, it goes
 * on as a *broadcast*: nobody can join any more, it cannot be kept, and what is not in the file is held in a
 * window in memory until the slowest reader has taken it. No reader fails for it.
 */
export class Spool implements Readings {
  readonly #options: SpoolOptions
  readonly #readers = new Set<SpoolReader>()
  #mode: 'memory' | 'file' | 'broadcast' = 'memory'
  /** What is held in memory: the newest, or all of it. */
  readonly #window: ChunkWindow = new ChunkWindow()
  #file: TemporaryFile | null = null
  /** Bytes that are in the file, or were. */
  #written = 0
  #isWriting = false
  /** Bytes of memory that are reserved. */
  #reserved = 0
  #isEnded = false
  /** Why there will be no more. */
  #over: Error | null = null
  #waiting: Array<() => void> = []

  constructor (options: SpoolOptions) {
    this.#options = options
  }

  /** Bytes so far. */
  get size (): number {
    return this.#window.end
  }

  get isEnded (): boolean {
    return this.#isEnded
  }

  get readers (): number {
    return this.#readers.size
  }

  /** False once its beginning is gone. */
  get isJoinable (): boolean {
    return this.#mode !== 'broadcast' && this.#over === null
  }

  /** The file that holds all of it, after `end` was true; null when it is in memory. */
  get file (): TemporaryFile | null {
    return this.#file
  }

  /** A new reader, from the start. */
  read (): SpoolReader {
    if (!this.isJoinable) throw new Error('too late to read from the start')
    const reader = new SpoolReader(this)
    this.#readers.add(reader)
    return reader
  }

  /** Resolves when there is something to read, or it ended well without; rejects when it failed before that. */
  async started (): Promise<void> {
    while (this.size === 0 && !this.#isEnded && this.#over === null) await this.#change()
    if (this.size === 0 && this.#over !== null) throw this.#over
  }

  /** Resolves when more may come. `chunk` must not be changed any more; `owned` says that nobody else has it. */
  async write (chunk: Buffer, owned: boolean = false): Promise<void> {
    this.#assertOpen()
    if (chunk.length === 0) return
    this.#window.push(chunk, owned)
    this.#store(chunk.length)
    this.#changed()
    this.#wakeReaders()
    this.#trim()
    while (this.#mode !== 'memory' && this.#window.length > WINDOW && this.#over === null) await this.#change()
    this.#assertOpen()
  }

  /** It is complete. Resolves when it is stored: true when all of it can be read from the start. */
  async end (): Promise<boolean> {
    this.#assertOpen()
    this.#isEnded = true
    this.#changed()
    this.#wakeReaders()
    if (this.#mode === 'file' && !this.#isWriting) this.#writeFile()
    while (this.#isWriting && this.#over === null) await this.#change()
    return this.isJoinable
  }

  /** All of it, after `end` was true; null when it is in the file. */
  bytes (): Buffer | null {
    return this.#mode === 'memory' ? this.#window.join() : null
  }

  /** All of it for a store, after `end` was true. */
  source (): PackSource {
    return { size: this.size, read: () => this.read() }
  }

  /** It broke off: every reader is destroyed with `error`, and nothing is left. Resolves when the file is gone. */
  async fail (error: Error): Promise<void> {
    if (this.#over !== null) return
    this.#over = error
    for (const reader of this.#readers) reader.destroy(error)
    this.#window.clear({ inUse: this.#isWriting })
    this.#free(this.#reserved)
    this.#changed()
    await this.#discardFile()
  }

  at (position: number): Place {
    if (position < this.#window.start) {
      if (this.#file === null) throw new Error('this part is gone')
      return { file: this.#file.handle, length: this.#written - position }
    }
    if (position < this.size) return this.#window.from(position)
    return this.#isEnded ? 'end' : 'later'
  }

  moved (): void {
    if (this.#mode !== 'broadcast') return
    this.#trim()
    this.#changed()
  }

  left (reader: SpoolReader): void {
    if (!this.#readers.delete(reader)) return
    this.moved()
    if (this.#readers.size === 0) this.#options.onIdle()
  }

  #assertOpen (): void {
    if (this.#over !== null) throw this.#over
  }

  #store (length: number): void {
    const { memory } = this.#options
    if (this.#mode === 'memory') {
      if (this.size <= memory.maxEntryBytes && memory.reserve(length)) {
        this.#reserved += length
        return
      }
      this.#mode = 'file'
    }
    if (this.#mode === 'file' && !this.#isWriting && this.#isDue) this.#writeFile()
  }

  get #isDue (): boolean {
    const missing = this.size - this.#written
    return missing >= BATCH || (this.#isEnded && missing > 0)
  }

  /** Writes what is not in the file yet, as long as it is worth it; never rejects. */
  async #writeFile (): Promise<void> {
    this.#isWriting = true
    try {
      this.#file ??= await this.#options.createFile()
      while (this.#isDue && this.#over === null) {
        this.#written += await this.#file.append(this.#window.batch(this.#written, WINDOW, MAX_BUFFERS))
        this.#trim()
        this.#changed()
      }
    } catch (error) {
      if (this.#over === null) this.#broadcast(error)
    }
    this.#isWriting = false
    this.#changed()
    if (this.#over !== null) await this.#discardFile()
  }

  #broadcast (error: unknown): void {
    this.#mode = 'broadcast'
    this.#trim()
    this.#options.onTrouble(error)
  }

  /** Lets go of what nobody needs from memory any more. */
  #trim (): void {
    if (this.#mode === 'memory' || this.#over !== null) return
    if (this.#mode === 'file') {
      // Whoever is slower than the window reads the file.
      this.#window.drop(this.#written, WINDOW)
    } else {
      const slowest = this.#slowest()
      this.#window.drop(Math.max(this.#written, slowest), 0)
      if (slowest >= this.#written) this.#discardFile()
    }
    this.#free(this.#reserved - Math.min(this.#reserved, this.#window.length))
  }

  #slowest (): number {
    let slowest = this.size
    for (const { position } of this.#readers) slowest = Math.min(slowest, position)
    return slowest
  }

  #free (bytes: number): void {
    if (bytes === 0) return
    this.#reserved -= bytes
    this.#options.memory.giveBack(bytes)
  }

  async #discardFile (): Promise<void> {
    const file = this.#file
    this.#file = null
    await file?.discard()
  }

  #wakeReaders (): void {
    for (const reader of this.#readers) reader.wake()
  }

  #change (): Promise<void> {
    return new Promise((resolve) => { this.#waiting.push(resolve) })
  }

  #changed (): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
