import type { Readable } from 'node:stream'
import type { StorePatience } from './guarded-store.ts'
import type { PackStore } from './pack-store.ts'

/** What a host may choose; the public options of the cache. */
export interface PackCacheOptions {
  /** Bytes of memory for answers of up to 4 MiB. Default 67,108,864 (64 MiB). */
  maxMemory?: number
  /**
   * The folder for larger ones, and for all while they grow. Made when it is missing; only the server's user may have access to it.
   * Several processes of one machine may share it. Default `fastify-git-http-packs-<uid>` in the system's temporary folder.
   */
  directory?: string
  /** Bytes of disk for the folder. Default 2,147,483,648 (2 GiB). */
  maxBytes?: number
  /** Milliseconds that an answer is kept. Default 300,000 (5 minutes). */
  maxAge?: number
  /** An answer is kept when it was asked for more often than this within `maxAge`. Default 1: the second time; 0: always. */
  minOccurrences?: number
  /** Keeps complete answers in place of the folder, an object store for example. The folder then holds only those that are being made. */
  store?: PackStore
  /**
   * Other processes of this machine serve the same repositories with the same folder: identical fetches at the same time cost one
   * git for all of them, not one for each process. Everything is kept then (`minOccurrences` is 0 by default). A number says how
   * many they are (true: up to 16), so that they keep `maxBytes` together. Default false.
   */
  shared?: boolean | number
}

/** With what only tests set. */
export interface PackCacheSettings extends PackCacheOptions {
  /** Longest answer that is kept in memory, in bytes. Default 4,194,304 (4 MiB). */
  maxMemoryEntry?: number
  patience?: StorePatience
}

/** An answer to a fetch. Exactly one of `bytes` and `stream` is there. */
export interface PackAnswer {
  /** From a store, from a git that runs for somebody else, or from an own one. */
  cache: 'hit' | 'shared' | 'miss'
  /** In bytes; null while git is still writing. */
  size: number | null
  bytes: Buffer | null
  stream: Readable | null
  /** Tells at the end of `stream` whether git refused, in its own words, what was asked for. */
  isRefused?: () => boolean
}

export interface PackCounters {
  hits: { memory: number, store: number }
  shared: number
  misses: number
  /** Answers that were kept. */
  kept: number
  /** Bytes that are stored now. */
  stored: { memory: number, directory: number }
  /** At most. */
  limits: { memory: number, directory: number }
  /** How often something went wrong with keeping or finding. */
  failures: number
}
