import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mergeSnapshots } from '../../lib/status/merge.ts'
import type { CacheStatus, OperationStatus, StatusSnapshot } from '../../lib/web/status-source.ts'

function snapshot (id: string, caches: CacheStatus[]): StatusSnapshot {
  const operation: OperationStatus = { id, repository: 'app.git', service: 'upload-pack', user: null, startedAt: 0, bytesIn: 1, bytesOut: 2, phase: 'sending', cache: null }
  return { operations: [operation], totals: { operations: 1, failed: 2, bytesIn: 3, bytesOut: 4 }, caches, git: { running: 5, queued: 6 } }
}

test('what several processes do is added up, and what they have in common is counted once', () => {
  const disk = { name: 'Packs on disk', hits: 1, misses: 2, maxBytes: 1000, isShared: true }
  const memory = { name: 'Packs in memory', hits: 1, misses: 2, bytes: 30, maxBytes: 100 }
  const made = { name: 'Packs being made', hits: 1, misses: 2, bytes: 0, maxBytes: null }
  const merged = mergeSnapshots([
    snapshot('one', [memory, made, { ...disk, bytes: 600 }]),
    snapshot('two', [memory, made, { ...disk, bytes: 700 }]),
    // It has not looked yet.
    snapshot('three', [memory, made, { ...disk, bytes: 0 }])
  ])
  assert.deepEqual(merged.operations.map(({ id }) => id), ['one', 'two', 'three'])
  assert.deepEqual(merged.totals, { operations: 3, failed: 6, bytesIn: 9, bytesOut: 12 })
  assert.deepEqual(merged.git, { running: 15, queued: 18 })
  assert.deepEqual(merged.caches, [
    { name: 'Packs in memory', hits: 3, misses: 6, bytes: 90, maxBytes: 300 },
    { name: 'Packs being made', hits: 3, misses: 6, bytes: 0, maxBytes: null },
    { name: 'Packs on disk', hits: 3, misses: 6, bytes: 700, maxBytes: 1000, isShared: true }
  ])
  assert.deepEqual(mergeSnapshots([merged, snapshot('four', [])]).caches, merged.caches, 'sums can be added up again')
})
