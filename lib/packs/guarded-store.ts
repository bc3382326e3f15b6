import { pipeline, Transform, type Readable, type TransformCallback } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { PackSource, PackStore, StoredPack } from './pack-store.ts'
import { SpoolReader } from './spool-reader.ts'
import type { Trouble } from './trouble.ts'

/** Longest waits for a store, in milliseconds: for an answer, for one to be kept, and before one that did not settle is asked again. */
export interface StorePatience { get: number, put: number, pause: number }

const PATIENCE: StorePatience = { get: 2_000, put: 120_000, pause: 30_000 }
const NOT_ANSWERING = 'the pack store does not answer; git is asked'
const NOT_KEEPING = 'the pack store does not keep; fetches are answered without it'

/** A store as the cache uses it: whatever it does, nobody waits for it for long, and nothing fails for it. */
export class GuardedStore {
  readonly #store: PackStore
  readonly #trouble: Trouble
  readonly #patience: StorePatience
  #pausedUntil = -Infinity

  constructor (store: PackStore, trouble: Trouble, patience: StorePatience = PATIENCE) {
    this.#store = store
    this.#trouble = trouble
    this.#patience = patience
  }

  /** null as well when the store does not answer as it should. */
  async get (key: string): Promise<StoredPack | null> {
    if (this.#isPaused()) return null
    const asked = call(async () => await this.#store.get(key))
    try {
      const pack = await this.#within(this.#patience.get, asked)
      if (pack !== null && !Number.isSafeInteger(pack.size)) throw new TypeError('the size of a stored pack must be a number of bytes')
      return pack
    } catch (error) {
      this.#trouble.report(NOT_ANSWERING, error)
      // What comes too late is nobody's.
      asked.then((pack) => pack?.close()).catch(() => {})
      return null
    }
  }

  /** A reader of `pack` that ends well only after as many bytes as were promised; null when it gives not even one. */
  async read (pack: StoredPack): Promise<Readable | null> {
    let stream: Readable | undefined
    try {
      stream = exactly(pack)
      if (!(stream instanceof SpoolReader)) await this.#within(this.#patience.get, begun(stream))
      return stream
    } catch (error) {
      stream?.destroy()
      this.#trouble.report(NOT_ANSWERING, error)
      return null
    }
  }

  /** All of a small `pack`; null when it cannot be read. */
  async bytesOf (pack: StoredPack): Promise<Buffer | null> {
    let stream: Readable | undefined
    try {
      stream = exactly(pack)
      return await this.#within(this.#patience.get, buffer(stream))
    } catch (error) {
      stream?.destroy()
      this.#trouble.report(NOT_ANSWERING, error)
      return null
    }
  }

  /** False when it was not kept. */
  async put (key: string, source: PackSource): Promise<boolean> {
    const readers = new Set<Readable>()
    const read = (): Readable => {
      const reader = source.read()
      readers.add(reader)
      // The store may forget to listen.
      return reader.on('error', () => {}).once('close', () => readers.delete(reader))
    }
    const kept = await this.keep(async () => await this.#store.put(key, { size: source.size, read }))
    for (const reader of readers) reader.destroy(kept ? undefined : new Error('too late'))
    return kept
  }

  /** Whether `act`, which makes the store keep something, ended well. */
  async keep (act: () => Promise<void>): Promise<boolean> {
    if (this.#isPaused()) return false
    try {
      await this.#within(this.#patience.put, call(act))
      return true
    } catch (error) {
      this.#trouble.report(NOT_KEEPING, error)
      return false
    }
  }

  /** Never rejects. */
  async close (): Promise<void> {
    const closed = call(async () => await this.#store.close?.())
    await this.#within(this.#patience.get, closed).catch((error) => this.#trouble.report('the pack store does not close', error))
  }

  #isPaused (): boolean {
    return performance.now() < this.#pausedUntil
  }

  async #within<T> (milliseconds: number, asked: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        this.#pausedUntil = performance.now() + this.#patience.pause
        reject(new Error(`not settled within ${milliseconds} ms`))
      }, milliseconds)
    })
    try {
      return await Promise.race([asked, late])
    } finally {
      clearTimeout(timer)
    }
  }
}

/** What throws rejects. */
async function call<T> (act: () => Promise<T>): Promise<T> {
  return await act()
}

function exactly (pack: StoredPack): Readable {
  const stored = pack.read()
  if (stored instanceof SpoolReader) return stored
  let length = 0
  const counted = new Transform({
    transform (chunk: Buffer, _encoding, callback: TransformCallback) {
      length += chunk.length
      callback(length > pack.size ? new Error('a stored pack is longer than was promised') : null, chunk)
    },
    flush (callback: TransformCallback) {
      callback(length < pack.size ? new Error('a stored pack is shorter than was promised') : null)
    }
  })
  pipeline(stored, counted, () => {})
  return counted
}

async function begun (stream: Readable): Promise<void> {
  if (stream.readableLength > 0) return
  await new Promise<void>((resolve, reject) => {
    stream.once('readable', resolve)
    stream.once('error', reject)
    stream.once('close', () => reject(new Error('a stored pack was closed before it began')))
  })
}
