import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Busy } from '../../lib/limits/admission.ts'
import { HoldTimes } from '../../lib/limits/hold-times.ts'
import { Scene, settle } from './helpers.ts'

test('whatever was held and whoever waits, it is a whole number of seconds from 1 to 30', () => {
  const times = fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { maxLength: 5 })
  fc.assert(fc.property(times, fc.nat({ max: 100_000 }), fc.integer({ min: 1, max: 256 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (held, waiting, slots, random) => {
    const holdTimes = new HoldTimes()
    for (const time of held) holdTimes.add(time)
    const seconds = holdTimes.retryAfter(waiting, slots, random)
    assert.ok(Number.isInteger(seconds) && seconds >= 1 && seconds <= 30, `${seconds}`)
  }))
})

test('it grows with how long slots were held lately and how many wait, and shrinks with the slots', () => {
  const after = (held: number[], waiting: number, slots: number): number => {
    const holdTimes = new HoldTimes()
    for (const time of held) holdTimes.add(time)
    return holdTimes.retryAfter(waiting, slots, 0)
  }
  assert.deepEqual([after([100], 9, 4), after([1_000], 9, 4), after([1_000], 39, 4), after([1_000], 39, 8), after([60_000], 39, 4)], [1, 3, 10, 5, 13])
  assert.equal(after([60_000, ...Array.from({ length: 100 }, () => 100)], 9, 4), 1, 'the past fades')
})

test('clients who are refused together are told to come back at different times', async () => {
  let draws = 0
  const scene = new Scene({ maxConcurrent: 1, maxQueued: 0 }, () => (draws++ % 10) / 10)
  const clients = scene.flood(21, 'a')
  await settle()
  const seconds = clients.slice(1).map(({ error }) => (error as Busy).retryAfter)
  assert.deepEqual([...new Set(seconds)].sort(), [1, 2, 3, 4, 5])
})

test('what a slot was held for counts from when it was given', async () => {
  const scene = new Scene({ maxConcurrent: 1, maxQueued: 1 })
  scene.flood(2, 'a')
  await settle()
  scene.now += 4_000
  await scene.release(0)
  scene.now += 4_000
  await scene.release(1)
  const clients = scene.flood(3, 'a')
  await settle()
  // Two slots' time of 4 s: the one who waits, and the refused one.
  assert.equal((clients[2]?.error as Busy).retryAfter, 8)
})
