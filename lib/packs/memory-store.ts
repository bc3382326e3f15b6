import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { LRUCache } from 'lru-cache'
import type { PackSource, PackStore, StoredPack } from './pack-store.ts'

export interface MemoryStoreOptions {
  /** Bytes of memory for all answers, those that are just being made included. Default 67,108,864 (64 MiB). */
  maxBytes?: number
  /** Longest answer that is kept in memory, in bytes. Default 4,194,304 (4 MiB). */
  maxEntryBytes?: number
  /** How long an answer is kept, in milliseconds. Default 300,000 (5 minutes). */
  maxAge?: number
}

/** Small answers in memory, each one Buffer that is sent as it is; bounded in bytes, the least recently used out. */
export class MemoryStore implements PackStore {
  readonly maxEntryBytes: number
  readonly maxBytes: number
  readonly #kept: LRUCache<string, Buffer>
  #reserved = 0

  constructor ({ maxBytes = 64 * 1024 * 1024, maxEntryBytes = 4 * 1024 * 1024, maxAge = 300_000 }: MemoryStoreOptions = {}) {
    this.maxBytes = maxBytes
    this.maxEntryBytes = Math.min(maxEntryBytes, maxBytes)
    this.#kept = new LRUCache({ maxSize: maxBytes, ttl: maxAge, sizeCalculation: (bytes, key) => bytes.length + key.length })
  }

  /** Bytes that are kept. */
  get bytes (): number {
    return this.#kept.calculatedSize
  }

  /** Bytes that answers in the making have reserved. */
  get reserved (): number {
    return this.#reserved
  }

  bytesOf (key: string): Buffer | null {
    return this.#kept.get(key) ?? null
  }

  /** False when it is too large. */
  keep (key: string, bytes: Buffer): boolean {
    if (bytes.length > this.maxEntryBytes || !this.#makeRoom(bytes.length + key.length)) return false
    this.#kept.set(key, bytes)
    return true
  }

  /** Takes memory for an answer that is being made, up to half of all, from the least recently used of those that are kept. */
  reserve (bytes: number): boolean {
    if (this.#reserved + bytes > this.maxBytes / 2) return false
    this.#reserved += bytes
    this.#makeRoom(0)
    return true
  }

  /** Gives back what {@link reserve} took. */
  giveBack (bytes: number): void {
    this.#reserved -= bytes
  }

  /** Lets go of what has become too old. */
  sweep (): void {
    this.#kept.purgeStale()
  }

  async get (key: string): Promise<StoredPack | null> {
    const bytes = this.bytesOf(key)
    return bytes === null ? null : { size: bytes.length, read: () => Readable.from([bytes], { objectMode: false }), close: () => {} }
  }

  async put (key: string, source: PackSource): Promise<void> {
    if (source.size > this.maxEntryBytes) return
    const bytes = await buffer(source.read())
    if (bytes.length !== source.size) throw new Error('not as long as was promised')
    this.keep(key, bytes)
  }

  async close (): Promise<void> {
    this.#kept.clear()
  }

  #makeRoom (bytes: number): boolean {
    while (this.#kept.calculatedSize + this.#reserved + bytes > this.maxBytes) {
      if (this.#kept.pop() === undefined) return false
    }
    return true
  }
}
