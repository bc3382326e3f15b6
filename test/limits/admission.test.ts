import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { BusyError, ClosingError } from '../../lib/errors.ts'
import { Admission, type Busy, type SlotAsker } from '../../lib/limits/admission.ts'
import { Scene, settle, type Client } from './helpers.ts'

/** No share is smaller than the whole. */
const ONE = { maxConcurrent: 1, maxPerRepository: 1, maxPerUser: 1 }

function asker (left: AbortSignal, given: Partial<SlotAsker> = {}): SlotAsker {
  return { repository: 'a', user: null, address: '192.0.2.1', left, ...given }
}

function isBusy (client: Client | undefined): boolean {
  return client?.error instanceof BusyError
}

test('without options there are two slots for each core, and three quarters of them for one repository or user', () => {
  const { limits } = new Admission({ maxConcurrent: 8 })
  assert.deepEqual(limits, { maxConcurrent: 8, maxPerRepository: 6, maxPerUser: 6, maxQueued: 1_000, queueTimeout: 30_000 })
  assert.equal(new Admission().limits.maxConcurrent % 2, 0)
  assert.equal(new Admission({ maxConcurrent: 1 }).limits.maxPerRepository, 1)
})

test('a free slot is given before any timer or event', async () => {
  const { admission } = new Scene(ONE)
  const { signal } = new AbortController()
  let isLate = false
  setImmediate(() => { isLate = true })
  process.nextTick(() => { isLate = true })
  const slot = await admission.acquire(asker(signal))
  assert.equal(isLate, false)
  assert.equal(getEventListeners(signal, 'abort').length, 0)
  slot.release()
})

test('a slot that is given back twice is given to one only', async () => {
  const scene = new Scene({ ...ONE, maxConcurrent: 2, maxPerRepository: 2, maxPerUser: 2 })
  scene.flood(5, 'a')
  await settle()
  await scene.release(0)
  await scene.release(0)
  assert.equal(scene.served.length, 3)
  assert.equal(scene.admission.counters.running, 2)
})

test('anonymous clients share by address, and a user may be called like one', async () => {
  const { admission } = new Scene({ maxConcurrent: 9, maxPerRepository: 9, maxPerUser: 1 })
  const { signal } = new AbortController()
  const slots: string[] = []
  for (const who of [{ address: '192.0.2.1' }, { address: '192.0.2.2' }, { address: '192.0.2.1' }, { user: '192.0.2.1' }, { user: 'ann' }, { user: 'ann', address: '192.0.2.9' }]) {
    admission.acquire(asker(signal, who)).then(() => slots.push(JSON.stringify(who)))
  }
  await settle()
  assert.deepEqual(slots, ['{"address":"192.0.2.1"}', '{"address":"192.0.2.2"}', '{"user":"192.0.2.1"}', '{"user":"ann"}'])
})

test('a full queue is busy at once, and says when to come back', async () => {
  const scene = new Scene({ ...ONE, maxQueued: 2 })
  const [, , , refused] = scene.flood(4, 'a')
  await settle()
  const error = refused?.error as Busy
  assert.ok(error instanceof BusyError)
  assert.ok(Number.isInteger(error.retryAfter) && error.retryAfter >= 1 && error.retryAfter <= 30)
  assert.deepEqual(scene.admission.counters, { running: 1, queued: 2, refused: 1, timedOut: 0, longestWait: 0 })
})

test('without a queue whoever finds no slot is refused', async () => {
  const scene = new Scene({ ...ONE, maxQueued: 0 })
  const [first, second] = scene.flood(2, 'a')
  await settle()
  assert.ok(first?.slot)
  assert.ok(second?.error instanceof BusyError)
})

test('who waits too long is told so, each in time, and no timer is left', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const scene = new Scene({ ...ONE, queueTimeout: 100 })
  const pass = async (milliseconds: number): Promise<void> => {
    scene.now += milliseconds
    t.mock.timers.tick(milliseconds)
    await settle()
  }
  const [, early] = scene.flood(2, 'a')
  await pass(60)
  const late = scene.ask('b', 'b')
  await pass(39)
  assert.equal(isBusy(early), false)
  await pass(1)
  assert.equal(isBusy(early), true)
  assert.ok((early?.error as Busy).retryAfter >= 1)
  await pass(59)
  assert.equal(isBusy(late), false)
  await pass(1)
  assert.equal(isBusy(late), true)
  assert.deepEqual(scene.admission.counters, { running: 1, queued: 0, refused: 0, timedOut: 2, longestWait: 100 })
  // A new one waits its whole time.
  const next = scene.ask('a', 'a')
  await pass(99)
  assert.equal(isBusy(next), false)
  await pass(1)
  assert.equal(isBusy(next), true)
})

test('who leaves frees the place in the queue at once', async () => {
  const scene = new Scene({ ...ONE, maxQueued: 1 })
  const [, leaving] = scene.flood(2, 'a')
  leaving?.leave()
  const next = scene.ask('a', 'a')
  await settle()
  assert.equal((leaving?.error as Error).message, 'left')
  assert.equal(next.error, null)
  await scene.release(0)
  assert.ok(next.slot)
  assert.equal(scene.ask('a', 'a').slot, null)
})

test('who has left before asking gets no slot', async () => {
  const scene = new Scene(ONE)
  await assert.rejects(scene.admission.acquire(asker(AbortSignal.abort(new Error('gone')))), /gone/)
  assert.equal(scene.admission.counters.running, 0)
})

test('many who wait on one signal are one listener, and none when the last of them is done', async (t) => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', onWarning)
  t.after(() => process.off('warning', onWarning))
  const scene = new Scene({ ...ONE, maxQueued: 100 })
  scene.ask('a', 'a')
  const [leaving, staying] = [new AbortController(), new AbortController()]
  const wait = (signal: AbortSignal): Array<Promise<unknown>> =>
    Array.from({ length: 40 }, async () => await scene.admission.acquire(asker(signal)).catch((error: Error) => error.message))
  const left = wait(leaving.signal)
  const served = wait(staying.signal)
  assert.equal(getEventListeners(leaving.signal, 'abort').length, 1)
  leaving.abort(new Error('left'))
  assert.deepEqual(new Set(await Promise.all(left)), new Set(['left']))
  await scene.release(0)
  for (const slot of served) (await slot as { release: () => void }).release()
  for (const { signal } of [leaving, staying]) assert.equal(getEventListeners(signal, 'abort').length, 0)
  await settle()
  assert.deepEqual(warnings, [])
})

test('closing refuses those who wait and those who come; who runs is left alone', async () => {
  const scene = new Scene(ONE)
  const [running, waiting] = scene.flood(2, 'a')
  await settle()
  scene.admission.close()
  const late = scene.ask('a', 'a')
  await settle()
  assert.ok(running?.slot)
  assert.ok(waiting?.error instanceof ClosingError)
  assert.ok(late.error instanceof ClosingError)
  await scene.release(0)
  assert.equal(scene.admission.counters.running, 0)
})

test('nothing is remembered of those who are done', async () => {
  const scene = new Scene({ ...ONE, maxQueued: 300 })
  const clients = Array.from({ length: 200 }, (_, i) => scene.ask(`repository ${i % 100}`, `user ${i}`))
  await settle()
  assert.equal(scene.admission.tracked, 300)
  for (const client of clients.slice(100)) client.leave()
  for (let i = 0; i < 100; i++) await scene.release(i)
  assert.equal(scene.admission.tracked, 0)
  assert.equal(scene.admission.counters.queued, 0)
})
