import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { ClosingError, GitFailedError } from '../../lib/errors.ts'
import { bytesOf, filesIn, keyOf, makeScene, MB, openIn, random, until, type FakeGit } from './helpers.ts'

const A = keyOf('a')
const SMALL = random(300_000)
const LARGE = random(6 * MB)

for (const [size, bytes] of [['small', SMALL], ['large', LARGE]] as const) {
  test(`64 at once cost one git, and each gets a ${size} answer whole`, async (t) => {
    const { cache, started, fetch } = await makeScene(t)
    const answers = await Promise.all(Array.from({ length: 64 }, async () => await fetch(A, bytes)))
    assert.equal(started.length, 1)
    assert.deepEqual(answers.map(({ cache }) => cache).sort(), ['miss', ...Array.from({ length: 63 }, () => 'shared')])
    for (const all of await Promise.all(answers.map(bytesOf))) assert.ok(all.equals(bytes))
    assert.equal(cache.counters.shared, 63)
    assert.equal(cache.counters.misses, 1)
  })

  test(`the second who asks for a ${size} answer within the window is the first for whom it is kept`, async (t) => {
    const { cache, started, fetch, folder } = await makeScene(t)
    const seen: string[] = []
    for (let i = 0; i < 4; i++) {
      const answer = await fetch(A, bytes)
      seen.push(answer.cache)
      if (answer.cache === 'hit') assert.equal(answer.size, bytes.length)
      assert.ok((await bytesOf(answer)).equals(bytes))
      await until(() => cache.counters.kept === (i === 0 ? 0 : 1))
      await until(async () => (await filesIn(folder)).temporary.length === 0)
    }
    assert.deepEqual(seen, ['miss', 'miss', 'hit', 'hit'])
    assert.equal(started.length, 2)
    const { hits, stored } = cache.counters
    assert.deepEqual(hits, size === 'small' ? { memory: 2, store: 0 } : { memory: 0, store: 2 })
    assert.ok((size === 'small' ? stored.memory : stored.directory) >= bytes.length)
    assert.equal((await filesIn(folder)).entries.length, size === 'small' ? 0 : 1)
  })
}

test('a small hit is one buffer, the same for all', async (t) => {
  const { cache, fetch } = await makeScene(t, { minOccurrences: 0 })
  await bytesOf(await fetch(A, SMALL))
  await until(() => cache.counters.kept === 1)
  const [one, other] = [await fetch(A, SMALL), await fetch(A, SMALL)]
  assert.ok(one.bytes !== null && one.bytes === other.bytes)
})

test('concurrent ones count: what two shared is kept', async (t) => {
  const { cache, fetch } = await makeScene(t)
  await Promise.all([fetch(A, LARGE), fetch(A, LARGE)].map(async (answer) => await bytesOf(await answer)))
  await until(() => cache.counters.kept === 1)
  assert.equal((await fetch(A, LARGE)).cache, 'hit')
})

test('requests are counted within the window, not beyond it', async (t) => {
  const { cache, fetch } = await makeScene(t, { maxAge: 50 })
  await bytesOf(await fetch(A, SMALL))
  const end = performance.now() + 60
  await until(() => performance.now() > end)
  await bytesOf(await fetch(A, SMALL))
  await bytesOf(await fetch(keyOf('b'), SMALL))
  assert.equal(cache.counters.kept, 0)
})

test('bytes reach every client from the first on, without waiting for the end', async (t) => {
  const { started, ask } = await makeScene(t)
  const [first, second] = [ask(A), ask(A)]
  await until(() => started.length === 1)
  const { stdout } = started[0] as FakeGit
  stdout.write('progress')
  for (const { stream, size } of [await first, await second, await ask(A)]) {
    assert.equal(size, null)
    const [chunk] = await once(stream as PassThrough, 'data') as [Buffer]
    assert.equal(chunk.toString(), 'progress')
    stream?.on('error', () => {})
  }
  assert.equal(started.length, 1)
})

for (const when of ['before the first byte', 'after it'] as const) {
  test(`the first client leaving ${when} disturbs nobody`, async (t) => {
    const { started, ask } = await makeScene(t)
    const leader = new AbortController()
    const [first, second] = [ask(A, leader.signal), ask(A)]
    first.catch(() => {})
    await until(() => started.length === 1)
    const { stdout, signal } = started[0] as FakeGit
    if (when === 'after it') {
      stdout.write(LARGE.subarray(0, 100))
      await first
    }
    leader.abort(new Error('left'))
    if (when !== 'after it') await assert.rejects(first, /left/)
    stdout.write(when === 'after it' ? LARGE.subarray(100) : LARGE)
    stdout.end()
    assert.ok((await bytesOf(await second)).equals(LARGE))
    assert.equal(signal.aborted, false)
  })

  test(`all leaving ${when} ends git at once, and nothing is left`, async (t) => {
    const { started, ask, folder, fetch } = await makeScene(t)
    const clients = [new AbortController(), new AbortController(), new AbortController()]
    const asked = clients.map(async ({ signal }) => await ask(A, signal))
    await until(() => started.length === 1)
    const { stdout, signal } = started[0] as FakeGit
    if (when === 'after it') {
      stdout.write(LARGE)
      const [answer] = await Promise.all(asked)
      answer?.stream?.resume()
      await until(async () => (await filesIn(folder)).temporary.length === 1)
    }
    for (const client of clients) client.abort(new Error('left'))
    assert.ok(signal.aborted)
    await Promise.allSettled(asked)
    await until(() => stdout.destroyed)
    await until(async () => (await filesIn(folder)).temporary.length === 0)
    assert.deepEqual((await filesIn(folder)).entries, [])
    assert.ok((await bytesOf(await fetch(A, SMALL))).equals(SMALL))
    assert.equal(started.length, 2)
  })
}

test('whoever has left already starts nothing', async (t) => {
  const { started, ask } = await makeScene(t)
  await assert.rejects(ask(A, AbortSignal.abort(new Error('left'))), /left/)
  assert.equal(started.length, 0)
})

test('a git that fails before its first byte is everybody\'s error, and the next request starts afresh', async (t) => {
  const { started, ask, fetch } = await makeScene(t)
  const asked = [ask(A), ask(A)]
  await until(() => started.length === 1)
  started[0]?.stdout.destroy(new GitFailedError())
  for (const result of await Promise.allSettled(asked)) {
    assert.ok(result.status === 'rejected' && result.reason instanceof GitFailedError)
  }
  assert.ok((await bytesOf(await fetch(A, SMALL))).equals(SMALL))
})

test('a git that cannot be started is everybody\'s error', async (t) => {
  const { cache } = await makeScene(t)
  const fail = async (): Promise<never> => { throw new GitFailedError() }
  const { signal: left } = new AbortController()
  for (const result of await Promise.allSettled([cache.get(A, { left }, fail), cache.get(A, { left }, fail)])) {
    assert.ok(result.status === 'rejected' && result.reason instanceof GitFailedError)
  }
})

for (const bytes of [SMALL, LARGE]) {
  test(`a git that fails after ${bytes.length} bytes destroys every reader, and nothing of it is kept`, async (t) => {
    const { started, ask, folder, cache, fetch } = await makeScene(t, { minOccurrences: 0 })
    const asked = [ask(A), ask(A)]
    await until(() => started.length === 1)
    const { stdout } = started[0] as FakeGit
    stdout.write(bytes)
    const answers = await Promise.all(asked)
    const read = Promise.allSettled(answers.map(bytesOf))
    stdout.destroy(new GitFailedError())
    for (const result of await read) assert.ok(result.status === 'rejected' && result.reason instanceof GitFailedError)
    await until(async () => (await filesIn(folder)).temporary.length === 0)
    assert.deepEqual((await filesIn(folder)).entries, [])
    assert.equal(cache.counters.kept, 0)
    const next = await fetch(A, SMALL)
    assert.equal(next.cache, 'miss')
    assert.ok((await bytesOf(next)).equals(SMALL))
  })
}

test('a stream that is closed without an end never looks complete', async (t) => {
  const { started, ask } = await makeScene(t)
  const asked = ask(A)
  await until(() => started.length === 1)
  started[0]?.stdout.write('half')
  const { stream } = await asked
  const read = bytesOf({ cache: 'miss', size: null, bytes: null, stream })
  started[0]?.stdout.destroy()
  await assert.rejects(read)
})

test('a slow client does not hold git, and who comes later shares what it still reads', async (t) => {
  const { started, fetch, cache, folder } = await makeScene(t)
  const slow = await fetch(A, LARGE)
  // Not a byte of it was read.
  await until(() => started[0]?.stdout.readableEnded === true)
  await until(async () => (await filesIn(folder)).temporary.length === 1)
  assert.equal(cache.counters.kept, 0)
  const later = await fetch(A, LARGE)
  assert.equal(later.cache, 'shared')
  assert.equal(later.size, LARGE.length)
  await until(() => cache.counters.kept === 1)
  for (const answer of [slow, later, await fetch(A, LARGE)]) assert.ok((await bytesOf(answer)).equals(LARGE))
  assert.equal(started.length, 1)
})

test('closing ends git and readers, and leaves what is complete', async (t) => {
  const { cache, started, ask, fetch, folder } = await makeScene(t, { minOccurrences: 0 })
  await bytesOf(await fetch(keyOf('complete'), LARGE))
  const asked = ask(A)
  await until(() => started.length === 2)
  const { stdout, signal } = started[1] as FakeGit
  stdout.write(LARGE)
  const { stream } = await asked
  await until(async () => (await filesIn(folder)).temporary.length === 1)
  const waiting = assert.rejects(ask(keyOf('c')), ClosingError)
  await until(() => started.length === 3)
  await cache.close()
  await waiting
  assert.ok(signal.aborted)
  assert.ok(stream?.destroyed)
  assert.deepEqual(await filesIn(folder), { entries: [`${keyOf('complete')}.pack`], temporary: [] })
  await assert.rejects(ask(A), ClosingError)
  assert.deepEqual(await openIn(folder), [])
})

test('a thousand fetches that end in every way leave no descriptor and no temporary file', async (t) => {
  const { started, fetch, cache, folder } = await makeScene(t, { maxMemoryEntry: 1000, maxBytes: MB })
  await bytesOf(await fetch(A, random(5000)))
  await until(async () => (await filesIn(folder)).temporary.length === 0)
  await Promise.all(Array.from({ length: 1000 }, async (_, i) => {
    const answer = await fetch(keyOf(String(i % 200)), random(10_000 + i)).catch(() => null)
    if (i % 3 === 0) answer?.stream?.destroy()
    else if (i % 7 === 0) started.at(-1)?.stdout.destroy(new Error('killed'))
    if (answer !== null) await bytesOf(answer).catch(() => {})
  }))
  await until(async () => (await filesIn(folder)).temporary.length === 0)
  await until(async () => (await openIn(folder)).length === 0)
  assert.ok(cache.counters.stored.directory <= MB)
})
