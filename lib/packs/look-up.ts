import type { Readable } from 'node:stream'
import type { GuardedStore } from './guarded-store.ts'
import type { MemoryStore } from './memory-store.ts'
import type { StoredPack } from './pack-store.ts'

/** An answer that was found: small and whole, or to be read. */
export interface Found {
  size: number
  bytes: Buffer | null
  stream: Readable | null
}

interface LookUp {
  pack: Promise<StoredPack | Buffer | null>
  /** How many want what it finds. */
  users: number
}

/** Looks into the store, once for all who ask the same at the same time. What is small goes to memory. */
export class StoreLookUp {
  readonly #store: GuardedStore
  readonly #memory: MemoryStore
  readonly #running = new Map<string, LookUp>()

  constructor (store: GuardedStore, memory: MemoryStore) {
    this.#store = store
    this.#memory = memory
  }

  async find (key: string): Promise<Found | null> {
    const lookUp = this.#running.get(key) ?? this.#begin(key)
    lookUp.users++
    const pack = await lookUp.pack
    if (pack === null) return null
    if (Buffer.isBuffer(pack)) return { size: pack.length, bytes: pack, stream: null }
    const stream = await this.#store.read(pack)
    const leave = (): void => { if (--lookUp.users === 0) pack.close() }
    if (stream === null) {
      leave()
      return null
    }
    stream.once('close', leave)
    return { size: pack.size, bytes: null, stream }
  }

  #begin (key: string): LookUp {
    const lookUp: LookUp = { pack: this.#open(key), users: 0 }
    this.#running.set(key, lookUp)
    lookUp.pack.then(() => this.#running.delete(key))
    return lookUp
  }

  async #open (key: string): Promise<StoredPack | Buffer | null> {
    const pack = await this.#store.get(key)
    if (pack === null || pack.size > this.#memory.maxEntryBytes) return pack
    const bytes = await this.#store.bytesOf(pack)
    pack.close()
    if (bytes !== null) this.#memory.keep(key, bytes)
    return bytes
  }
}
