import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cut, formatBytes, formatDate, formatDuration } from '../../lib/web/format.ts'

test('sizes have at most three digits, and the unit that fits', () => {
  const sizes = [0, 1, 999, 1000, 1023, 1024, 1536, 10_188, 10_240, 1_023_000, 1_048_576, 5 * 1024 ** 3, -5]
  assert.deepEqual(sizes.map(formatBytes), ['0 B', '1 B', '999 B', '1.0 KiB', '1.0 KiB', '1.0 KiB', '1.5 KiB', '9.9 KiB', '10 KiB', '999 KiB', '1.0 MiB', '5.0 GiB', '0 B'])
  fc.assert(fc.property(fc.maxSafeNat(), (bytes) => { assert.match(formatBytes(bytes), /^(?:\d{1,3}|\d\.\d) (?:[KMGTP]i)?B$/) }))
})

test('durations', () => {
  assert.deepEqual([-1, 999, 59_999, 60_000, 3_599_000, 11_520_000].map(formatDuration), ['0 s', '0 s', '59 s', '1 min 0 s', '59 min 59 s', '3 h 12 min'])
})

test('a date is its distance, with the exact time behind it', () => {
  const now = Date.UTC(2024, 4, 10, 12)
  const ago = (seconds: number): string => String(formatDate(now / 1000 - seconds, now))
  assert.equal(ago(7_200), '<time datetime="2024-05-10T10:00:00.000Z" title="2024-05-10 10:00 UTC">2 hours ago</time>')
  assert.deepEqual([0, 59, 60, 86_400, 604_800, 3e6, 4e7, -7_200].map((seconds) => />(.*)</.exec(ago(seconds))?.[1]),
    ['just now', 'just now', '1 minute ago', 'yesterday', 'last week', 'last month', 'last year', 'in 2 hours'])
})

test('a date that no calendar has is none', () => {
  for (const seconds of [null, NaN, Infinity, 8.65e12, -8.65e12]) assert.equal(formatDate(seconds), null)
  fc.assert(fc.property(fc.double(), (seconds) => { formatDate(seconds) }))
})

test('cutting keeps whole characters', () => {
  assert.deepEqual([cut('abc', 3), cut('abcd', 3), cut('👩👩👩👩', 3)], ['abc', 'ab…', '👩👩…'])
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 20 }), (text, length) => {
    const short = cut(text, length)
    assert.ok([...short].length <= length)
    assert.ok(short === text || (short.endsWith('…') && text.startsWith(short.slice(0, -1))))
  }))
})
