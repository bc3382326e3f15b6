import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Tally } from '../../lib/limits/tally.ts'

test('whatever comes and goes, each count is right, and the top is one of those with most', () => {
  const changes = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.boolean()), { maxLength: 80 })
  fc.assert(fc.property(changes, (script) => {
    const tally = new Tally<string>()
    const counts = new Map<string, number>()
    for (const [item, isMore] of script) {
      const count = counts.get(item) ?? 0
      if (!isMore && count === 0) continue
      counts.set(item, count + (isMore ? 1 : -1))
      tally.change(item, isMore ? 1 : -1)
      for (const [item, count] of counts) assert.equal(tally.of(item), count)
      const most = Math.max(...counts.values())
      if (most === 0) assert.equal(tally.top, undefined)
      else assert.equal(tally.of(tally.top), most)
    }
  }))
})
