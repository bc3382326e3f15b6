import type { Readable } from 'node:stream'
import type { StorePatience } from './guarded-store.ts'
import type { PackStore } from './pack-store.ts'

export interface PackCacheOptions {
  /** Bytes of memory for small answers. Default 67,108,864 (64 MiB). */
  maxMemory?: number
  /** Longest answer that is kept in memory, in bytes. Default 4,194,304 (4 MiB). */
  maxMemoryEntry?: number
  /** The folder for larger ones. Default `fastify-git-http-packs-<uid>` in the system's temporary folder. */
  directory?: string
  /** Bytes of disk for them. Default 2,147,483,648 (2 GiB). */
  maxBytes?: number
  /** How long an answer is kept, in milliseconds. Default 300,000 (5 minutes). */
  maxAge?: number
  /** An answer is kept when it was asked for more often than this within `maxAge`. Default 1, or 0 when it is shared. */
  minOccurrences?: number
  /** Keeps answers instead of the folder, which then holds only those that are being made. */
  store?: PackStore
  /** Other processes of this machine use the same folder, and make an answer once for all. Default false. */
  shared?: boolean
  /** For tests. */
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
