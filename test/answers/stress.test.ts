import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stress } from './stress.ts'

test('refs that change in a tight loop: of 1,000 answers none is older than its question', async () => {
  const { answers, stale, changes, moved } = await stress(1_000)
  assert.equal(stale, 0)
  assert.ok(answers >= 1_000)
  assert.ok(changes > 100 && moved > 100, `${changes} changes, ${moved} answers unlike the one before`)
})
