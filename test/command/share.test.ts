import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import { share } from '../../lib/command/share.ts'
import { resolveOptions } from '../../lib/options.ts'

const CONCURRENT = Math.max(16, 2 * availableParallelism())

for (const count of [1, 2, 3, 8, 64]) {
  test(`${count} processes have together what one would have alone`, () => {
    const { limits, spawner, cache } = share(count)
    const packs = cache?.packs as { shared: boolean | number, maxMemory: number }
    // Rounded up, and what is least.
    const concurrent = (limits?.maxConcurrent ?? 0) * count
    assert.ok(concurrent >= CONCURRENT && concurrent < Math.max(CONCURRENT + count, 2 * count + 1), `${concurrent} gits`)
    const queued = (limits?.maxQueued ?? 0) * count
    assert.ok(queued >= 1000 && queued < 1000 + count, `${queued} requests wait`)
    assert.equal(packs.maxMemory, Math.max(16, Math.floor(64 / count * 1024 * 1024) / 1024 / 1024) * 1024 * 1024)
    assert.equal(packs.shared, count === 1 ? false : count)
    assert.equal(spawner?.processes, count === 1 ? 2 : 1)
    assert.ok(resolveOptions({ root: '/', ...share(count) }))
  })
}
