import { availableParallelism } from 'node:os'
import type { GitHttpOptions } from '../options.ts'

/** Bytes of memory for packs in all processes together, and at least in each of them. */
const [PACK_MEMORY, LEAST_PACK_MEMORY] = [64 * 1024 * 1024, 16 * 1024 * 1024]
/** Requests that wait in all processes together. */
const QUEUED = 1_000

/** What one of `count` processes may take of what is there for all. */
export function share (count: number): Pick<GitHttpOptions, 'limits' | 'spawner' | 'cache'> {
  const concurrent = Math.max(16, 2 * availableParallelism())
  return {
    // At least two, so that a push that waits for its client does not stop the others.
    limits: { maxConcurrent: Math.max(2, Math.ceil(concurrent / count)), maxQueued: Math.ceil(QUEUED / count) },
    spawner: { processes: count === 1 ? 2 : 1 },
    cache: { packs: { shared: count > 1 && count, maxMemory: Math.max(LEAST_PACK_MEMORY, Math.floor(PACK_MEMORY / count)) } }
  }
}
