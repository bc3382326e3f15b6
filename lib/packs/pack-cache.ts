import { LRUCache } from 'lru-cache'
import { Readable } from 'node:stream'
import type { Waiting } from '../answers/answer-cache.ts'
import { ClosingError, isOurs } from '../errors.ts'
import { DirectoryStore } from './directory-store.ts'
import { Generation, type Generate, type GeneratedAnswer } from './generation.ts'
import { GuardedStore } from './guarded-store.ts'
import { RemoteAnswer } from './frames.ts'
import { LivePacks, type Lead } from './live.ts'
import { StoreLookUp } from './look-up.ts'
import { MemoryStore } from './memory-store.ts'
import type { PackAnswer, PackCacheSettings, PackCounters } from './pack-answer.ts'
import type { PackLog } from './pack-store.ts'
import { NO_DISK, Trouble } from './trouble.ts'

/** Most keys whose requests are counted. */
const MAX_COUNTED = 10_000
const SWEEP_INTERVAL = 60_000
/** Processes that share the folder, when nobody says how many. */
const UNKNOWN = 16

/**
 * One run of git for all who send the same fetch, and its answer for those who send it later. A key names everything that
 * the answer depends on; who may ask for it has been decided before.
 */
export class PackCache {
  readonly #minOccurrences: number
  readonly #maxAge: number
  readonly #trouble: Trouble
  readonly #memory: MemoryStore
  readonly #directory: DirectoryStore
  readonly #store: GuardedStore
  readonly #keepsEverything: boolean
  readonly #live: LivePacks | null
  readonly #lookUp: StoreLookUp
  readonly #asked: LRUCache<string, { times: number }>
  /** Those that can be joined. */
  readonly #joinable = new Map<string, Generation>()
  readonly #running = new Set<Generation>()
  readonly #timer: NodeJS.Timeout
  readonly #count = { memory: 0, store: 0, shared: 0, misses: 0, kept: 0 }
  #isClosed = false

  constructor ({ maxMemory, maxMemoryEntry, directory, maxBytes, maxAge = 300_000, shared = false, minOccurrences = shared === false ? 1 : 0, store, patience }: PackCacheSettings, log: PackLog) {
    this.#minOccurrences = minOccurrences
    this.#maxAge = maxAge
    this.#trouble = new Trouble(log)
    this.#memory = new MemoryStore({ maxBytes: maxMemory, maxEntryBytes: maxMemoryEntry, maxAge })
    this.#directory = new DirectoryStore({ directory, maxBytes, maxAge, processes: shared === true ? UNKNOWN : shared === false ? 1 : shared }, this.#trouble)
    this.#store = new GuardedStore(store ?? this.#directory, this.#trouble, patience)
    this.#keepsEverything = store !== undefined
    this.#live = shared !== false ? new LivePacks(this.#directory.directory.options.path, this.#trouble) : null
    this.#lookUp = new StoreLookUp(this.#store, this.#memory)
    this.#asked = new LRUCache({ max: MAX_COUNTED, ttl: maxAge })
    this.#timer = setInterval(() => this.#memory.sweep(), SWEEP_INTERVAL).unref()
  }

  /** Whether other processes use the same folder. */
  get isShared (): boolean {
    return this.#live !== null
  }

  get counters (): PackCounters {
    const { memory, store, shared, misses, kept } = this.#count
    const stored = { memory: this.#memory.bytes, directory: this.#directory.directory.bytes }
    const limits = { memory: this.#memory.maxBytes, directory: this.#directory.directory.options.maxBytes }
    return { hits: { memory, store }, shared, misses, kept, stored, limits, failures: this.#trouble.count }
  }

  /**
   * The answer for `key`, which `generate` makes when nobody has it or is making it. Resolves when there is something to
   * send. The stream ends well only if the answer is whole.
   *
   * @throws what `generate` or its stream failed with before the first byte; what `asker.left` was aborted with; ClosingError.
   */
  async get (key: string, asker: Waiting, generate: Generate): Promise<PackAnswer> {
    const { left } = asker
    const times = this.#countAsked(key)
    const isReady = this.#fromMemory(key) ?? this.#shared(key, left)
    if (isReady !== null) return await isReady
    const found = await this.#lookUp.find(key)
    if (this.#isClosed || left.aborted) {
      found?.stream?.destroy()
      left.throwIfAborted()
      throw new ClosingError()
    }
    if (found !== null) {
      this.#count.store++
      if (found.stream !== null) endWith(found.stream, left)
      return { cache: 'hit', ...found }
    }
    // Meanwhile somebody else may have begun, or even ended.
    return await (this.#fromMemory(key) ?? this.#shared(key, left) ?? this.#generate(key, times, left, generate))
  }

  /** Ends every git and removes the temporary files of this process. What is complete stays. */
  async close (): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    await this.#live?.close()
    await Promise.all([...this.#running].map(async (generation) => await generation.abandon(new ClosingError())))
    await Promise.all([this.#store.close(), this.#memory.close()])
    await this.#directory.close()
  }

  #countAsked (key: string): number {
    if (this.#isClosed) throw new ClosingError()
    const asked = this.#asked.get(key) ?? { times: 0 }
    if (++asked.times === 1) this.#asked.set(key, asked)
    return asked.times
  }

  #fromMemory (key: string): PackAnswer | null {
    const bytes = this.#memory.bytesOf(key)
    if (bytes === null) return null
    this.#count.memory++
    return { cache: 'hit', size: bytes.length, bytes, stream: null }
  }

  #shared (key: string, left: AbortSignal): Promise<PackAnswer> | null {
    const generation = this.#joinable.get(key)
    if (generation === undefined || !generation.spool.isJoinable || this.#isOld(generation)) return null
    this.#count.shared++
    generation.times++
    const answer = this.#follow(generation, left, 'shared')
    this.#keep(key, generation)
    return answer
  }

  #generate (key: string, times: number, left: AbortSignal, generate: Generate): Promise<PackAnswer> {
    if (this.#live === null) this.#count.misses++
    const generation: Generation = new Generation(times, {
      memory: this.#memory,
      createFile: async () => await this.#directory.directory.create(),
      onTrouble: (error) => this.#trouble.report(NO_DISK, error),
      onIdle: () => {
        if (!generation.spool.isEnded) generation.abandon()
        this.#settle(key, generation)
      }
    })
    this.#joinable.set(key, generation)
    this.#running.add(generation)
    const answer = this.#follow(generation, left, 'miss')
    let lead: Lead | null = null
    const make: Generate = this.#live === null
      ? generate
      : async (signal) => await this.#together(key, generation, generate, signal, (mine) => { lead = mine })
    generation.run(make).then(async () => {
      if (generation.completed === null) this.#forget(key, generation)
      await this.#keep(key, generation)
      // From now on others find it in the folder.
      lead?.release()
      this.#settle(key, generation)
    })
    return answer
  }

  /** What another process makes; git's own answer if this one is to make it. */
  async #together (key: string, generation: Generation, generate: Generate, signal: AbortSignal, onLead: (lead: Lead) => void): Promise<GeneratedAnswer> {
    const { spool, ending } = generation
    const begun = await (this.#live as LivePacks).begin(key, { read: () => spool.isJoinable ? spool.read() : null, ending }, signal)
    if (begun instanceof RemoteAnswer) {
      this.#count.shared++
      generation.source = 'shared'
      return begun
    }
    if (begun !== null) {
      onLead(begun)
      // Another process may have ended just before.
      const found = await this.#lookUp.find(key)
      if (found !== null) {
        this.#count.store++
        generation.source = 'hit'
        return found.stream ?? Readable.from([found.bytes], { objectMode: false })
      }
    }
    this.#count.misses++
    return await generate(signal)
  }

  /** Keeps what is complete, once it was asked for often enough; never rejects. */
  async #keep (key: string, generation: Generation): Promise<void> {
    if (generation.completed === null || generation.isClaimed || generation.times <= this.#minOccurrences) return
    generation.isClaimed = generation.isBusy = true
    const { spool } = generation
    const bytes = spool.bytes()
    let isKept = bytes !== null && this.#memory.keep(key, bytes)
    if (this.#keepsEverything) isKept = await this.#store.put(key, spool.source()) || isKept
    else if (this.#live !== null && bytes !== null) isKept = await this.#store.put(key, spool.source()) || isKept
    else if (spool.file !== null) isKept = await this.#store.keep(async () => { if (spool.file !== null) await this.#directory.adopt(key, spool.file) })
    generation.isBusy = false
    if (isKept) {
      this.#count.kept++
      this.#forget(key, generation)
    }
    this.#settle(key, generation)
  }

  /** Lets go of what nobody reads any more. */
  #settle (key: string, generation: Generation): void {
    if (generation.isBusy || generation.spool.readers > 0) return
    this.#forget(key, generation)
    this.#running.delete(generation)
    generation.abandon()
  }

  #forget (key: string, generation: Generation): void {
    if (this.#joinable.get(key) === generation) this.#joinable.delete(key)
  }

  #isOld ({ completed }: Generation): boolean {
    return completed !== null && performance.now() - completed > this.#maxAge
  }

  async #follow (generation: Generation, left: AbortSignal, cache: 'shared' | 'miss'): Promise<PackAnswer> {
    const stream = await generation.follow(left)
    const { isEnded, size } = generation.spool
    return { cache: cache === 'miss' ? generation.source ?? 'miss' : cache, size: isEnded ? size : null, bytes: null, stream, isRefused: () => generation.isRefused }
  }
}

/** Ends a stream with the client that it is for. */
function endWith (stream: Readable, left: AbortSignal): void {
  stream.on('error', () => {})
  const end = (): void => { stream.destroy(isOurs(left.reason) ? left.reason : undefined) }
  left.addEventListener('abort', end)
  stream.once('close', () => left.removeEventListener('abort', end))
}
