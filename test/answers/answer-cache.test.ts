import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { setImmediate as nextIteration } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { AnswerCache, type Answer, type Made } from '../../lib/answers/answer-cache.ts'

/** A cache, and which answers were made. */
function makeCache (maxBytes: number): { made: string[], ask: (key: string, make?: () => Promise<Made>) => Promise<Answer | null> } {
  const cache = new AnswerCache(maxBytes)
  const made: string[] = []
  const ask = async (key: string, make: () => Promise<Made> = async () => ({ bytes: Buffer.from(key), keep: true })): Promise<Answer | null> =>
    await cache.get(key, { left: new AbortController().signal }, async () => { made.push(key); return await make() })
  return { made, ask }
}

function bytesOf (bytes: Buffer): () => Promise<Made> {
  return async () => ({ bytes, keep: true })
}

/** Asks until the answer is there in compressed form, which the thread pool makes; null when it never is. */
async function compressed (ask: () => Promise<Answer | null>): Promise<Buffer | null> {
  for (let i = 0; i < 100_000; i++) {
    const answer = await ask()
    if (answer?.gzip != null) return answer.gzip
    await nextIteration()
  }
  return null
}

test('made once, whoever asks, and once for all who ask meanwhile', async () => {
  const { made, ask } = makeCache(10_000)
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await ask('a')))
  for (let i = 0; i < 5; i++) answers.push(await ask('a'))
  assert.deepEqual(made, ['a'])
  assert.ok(answers.every((answer) => answer?.bytes.toString() === 'a'))
  await ask('b')
  assert.deepEqual(made, ['a', 'b'])
})

test('the least recently used goes when memory is short', async () => {
  const { made, ask } = makeCache(2_500)
  const kilobyte = bytesOf(Buffer.alloc(1_000))
  for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) await ask(key, kilobyte)
  assert.deepEqual(made, ['a', 'b', 'c', 'b'])
})

test('larger than all memory for answers: right, and not kept', async () => {
  const { made, ask } = makeCache(2_500)
  const [small, large] = [bytesOf(Buffer.alloc(1_000)), bytesOf(Buffer.alloc(3_000, 'x'))]
  await ask('small', small)
  for (let i = 0; i < 2; i++) assert.equal((await ask('large', large))?.bytes.toString(), 'x'.repeat(3_000))
  await ask('small', small)
  assert.deepEqual(made, ['small', 'large', 'large'])
})

test('too large to be held at all, failed, or for this one time: made again', async () => {
  const { made, ask } = makeCache(10_000)
  for (let i = 0; i < 2; i++) {
    assert.equal(await ask('none', async () => ({ bytes: null, keep: false })), null)
    assert.equal((await ask('once', async () => ({ bytes: Buffer.from('once'), keep: false })))?.bytes.toString(), 'once')
    const failing = async (): Promise<Made> => { throw new Error('failed') }
    const both = await Promise.allSettled([ask('failed', failing), ask('failed', failing)])
    assert.deepEqual(both.map(({ status }) => status), ['rejected', 'rejected'])
  }
  assert.deepEqual(made, ['none', 'once', 'failed', 'none', 'once', 'failed'])
})

test('compressed from some time on when it is asked for again, and only above a kilobyte', async () => {
  const { ask } = makeCache(100_000)
  const text = Buffer.from('some refs\n'.repeat(500))
  const gzip = await compressed(async () => await ask('large', bytesOf(text)))
  assert.deepEqual(gunzipSync(gzip ?? assert.fail()), text)
  for (let i = 0; i < 100; i++) {
    assert.equal((await ask('small', bytesOf(Buffer.alloc(1_023))))?.gzip, null)
    await nextIteration()
  }
})

test('compressed bytes count as well', async () => {
  const { made, ask } = makeCache(10_000)
  const incompressible = randomBytes(4_000)
  for (const key of ['a', 'b']) await compressed(async () => await ask(key, bytesOf(incompressible)))
  // Two of 4,000 bytes and their compressed forms are 16,000.
  await ask('a', bytesOf(incompressible))
  assert.ok(made.length > 2, 'the first went when the second was compressed')
})
