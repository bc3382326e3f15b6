import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TooLargeError } from '../../lib/errors.ts'
import { ByteLimit } from '../../lib/limits/byte-limit.ts'

const MIB = 1_048_576

test('the last byte that fits is given, the next one is not', () => {
  const limit = new ByteLimit(100)
  assert.equal(limit.give(60), null)
  assert.equal(limit.give(40), null)
  const error = limit.give(1)
  assert.ok(error instanceof TooLargeError)
  assert.equal(error.statusCode, 413)
  assert.match(error.message, /more than 100 bytes/)
})

test('a small body may be compressed as well as it can, and one that is not compressed has no ratio', () => {
  const limit = new ByteLimit(Infinity)
  limit.receive(1_020)
  assert.equal(limit.give(MIB), null)
  assert.match(limit.give(1)?.message ?? '', /more than 100 times its compressed size/)
  assert.equal(new ByteLimit(Infinity).give(100 * MIB), null)
})

test('however a body arrives, it is refused exactly when it is too long or became too much larger', () => {
  const parts = fc.array(fc.tuple(fc.nat({ max: 30_000 }), fc.nat({ max: 3_000_000 })), { maxLength: 20 })
  fc.assert(fc.property(fc.nat({ max: 20_000_000 }), parts, (maxBytes, given) => {
    const limit = new ByteLimit(maxBytes)
    let [received, passed] = [0, 0]
    for (const [raw, plain] of given) {
      limit.receive(raw)
      received += raw
      passed += plain
      const isTooMuch = passed > maxBytes || (passed > MIB && passed > 100 * received)
      assert.equal(limit.give(plain) !== null, isTooMuch)
      if (isTooMuch) return
    }
  }))
})
