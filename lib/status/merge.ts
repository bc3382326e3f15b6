import type { CacheStatus, StatusSnapshot } from '../web/status-source.ts'

/** What several registrations, or several processes, do together. */
export function mergeSnapshots (snapshots: readonly StatusSnapshot[]): StatusSnapshot {
  const caches = new Map<string, CacheStatus>()
  const all: StatusSnapshot = { operations: [], totals: { operations: 0, failed: 0, bytesIn: 0, bytesOut: 0 }, caches: [], git: { running: 0, queued: 0 } }
  for (const { operations, totals, git, caches: own } of snapshots) {
    all.operations.push(...operations)
    for (const name of ['operations', 'failed', 'bytesIn', 'bytesOut'] as const) all.totals[name] += totals[name]
    all.git.running += git.running
    all.git.queued += git.queued
    for (const cache of own) caches.set(cache.name, add(caches.get(cache.name), cache))
  }
  return { ...all, caches: [...caches.values()] }
}

function add (sum: CacheStatus | undefined, cache: CacheStatus): CacheStatus {
  if (sum === undefined) return cache
  const isShared = sum.isShared === true && cache.isShared === true
  const join = (one: number, other: number): number => isShared ? Math.max(one, other) : one + other
  return {
    name: cache.name,
    hits: sum.hits + cache.hits,
    misses: sum.misses + cache.misses,
    bytes: join(sum.bytes, cache.bytes),
    maxBytes: sum.maxBytes === null || cache.maxBytes === null ? null : join(sum.maxBytes, cache.maxBytes),
    ...isShared ? { isShared } : {}
  }
}
