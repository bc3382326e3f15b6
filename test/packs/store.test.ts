import assert from 'node:assert/strict'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { setImmediate as nextIteration } from 'node:timers/promises'
import { MemoryStore } from '../../lib/packs/memory-store.ts'
import type { PackSource, PackStore, StoredPack } from '../../lib/packs/pack-store.ts'
import { bytesOf, filesIn, keyOf, makeScene, MB, openIn, random, until } from './helpers.ts'

const A = keyOf('a')
const SMALL = random(100_000)
const LARGE = random(5 * MB)
const patience = { get: 40, put: 80, pause: 60_000 }
const never = async (): Promise<never> => await new Promise<never>(() => {})

interface ObjectStore extends PackStore { objects: Map<string, Buffer>, calls: string[], closed: number }

/** A host's store, as one would write it. */
function makeObjectStore (overrides: Partial<PackStore> = {}): ObjectStore {
  const store: ObjectStore = {
    objects: new Map(),
    calls: [],
    closed: 0,
    get: async (key) => {
      store.calls.push('get')
      const bytes = store.objects.get(key)
      return bytes === undefined ? null : stored(bytes, () => { store.closed++ })
    },
    put: async (key, source) => {
      store.calls.push('put')
      store.objects.set(key, await buffer(source.read()))
    }
  }
  const { get, put } = overrides
  if (get !== undefined) store.get = async (key) => { store.calls.push('get'); return await get(key) }
  if (put !== undefined) store.put = async (key, source) => { store.calls.push('put'); await put(key, source) }
  return store
}

function stored (bytes: Buffer, close = (): void => {}): StoredPack {
  return { size: bytes.length, read: () => Readable.from([bytes.subarray(0, 1000), bytes.subarray(1000)]), close }
}

for (const [size, bytes] of [['small', SMALL], ['large', LARGE]] as const) {
  test(`a host's store is given a ${size} answer, and another server gets it from there`, async (t) => {
    const store = makeObjectStore()
    const first = await makeScene(t, { store })
    await Promise.all([first.fetch(A, bytes), first.fetch(A, bytes)].map(async (answer) => await bytesOf(await answer)))
    await until(() => first.cache.counters.kept === 1)
    assert.ok(store.objects.get(A)?.equals(bytes))
    await until(async () => (await filesIn(first.folder)).temporary.length === 0)
    assert.deepEqual(await openIn(first.folder), [])
    const other = await makeScene(t, { store })
    const answers = await Promise.all(Array.from({ length: 10 }, async () => await other.fetch(A, SMALL)))
    for (const answer of answers) {
      assert.equal(answer.cache, 'hit')
      assert.equal(answer.size, bytes.length)
      assert.ok((await bytesOf(answer)).equals(bytes))
    }
    assert.equal(other.started.length, 0)
    await until(() => store.closed === 1)
    assert.equal(store.calls.filter((call) => call === 'get').length, 2, 'ten at once ask it once')
    await bytesOf(await other.fetch(A, SMALL))
    assert.equal(store.calls.filter((call) => call === 'get').length, size === 'small' ? 2 : 3, 'what is small is in memory now')
  })
}

for (const [how, get] of [
  ['rejects', async () => { throw new Error('no network') }],
  ['throws', () => { throw new Error('no network') }],
  ['hangs', never],
  ['answers nonsense', async () => ({ size: 'large' }) as unknown as StoredPack],
  ['has a stream that fails at once', async () => ({ ...stored(LARGE), read: () => new Readable({ read () { this.destroy(new Error('gone')) } }) })],
  ['has a stream that says nothing', async () => ({ ...stored(LARGE), read: () => new PassThrough() })],
  ['has a small answer that breaks off', async () => ({ ...stored(SMALL), read: () => Readable.from([SMALL.subarray(0, 10)]) })],
  ['cannot read', async () => ({ ...stored(LARGE), read: () => { throw new Error('no') } })]
] as Array<[string, PackStore['get']]>) {
  test(`a host's store that ${how} when it is asked: git answers, and the log says so once`, async (t) => {
    const { fetch, log, started } = await makeScene(t, { store: makeObjectStore({ get }), patience })
    for (const name of ['a', 'b', 'c']) assert.ok((await bytesOf(await fetch(keyOf(name), SMALL))).equals(SMALL))
    assert.equal(started.length, 3)
    assert.equal(log.lines.length, 1)
    assert.match(log.lines[0]?.message ?? '', /does not answer/)
  })
}

test('a host\'s store that hangs is left alone for a while', async (t) => {
  const store = makeObjectStore({ get: never })
  const { fetch } = await makeScene(t, { store, patience })
  for (let i = 0; i < 20; i++) await bytesOf(await fetch(keyOf(String(i)), SMALL))
  assert.deepEqual(store.calls, ['get'])
})

for (const [how, put] of [
  ['rejects', async () => { throw new Error('no network') }],
  ['hangs', never],
  ['reads a little and hangs', async (_key: string, source: PackSource) => { source.read().once('data', () => {}); await never() }]
] as Array<[string, PackStore['put']]>) {
  test(`a host's store that ${how} when it is to keep something: served, logged once, and nothing of it stays`, async (t) => {
    const { fetch, log, folder, cache } = await makeScene(t, { store: makeObjectStore({ put }), patience, minOccurrences: 0 })
    for (const name of ['a', 'b', 'c']) assert.ok((await bytesOf(await fetch(keyOf(name), LARGE))).equals(LARGE))
    await until(() => log.lines.length > 0)
    await until(async () => (await filesIn(folder)).temporary.length === 0)
    await until(async () => (await openIn(folder)).length === 0)
    assert.equal(cache.counters.kept, 0)
    assert.equal(log.lines.length, 1)
    assert.match(log.lines[0]?.message ?? '', /does not keep/)
  })
}

test('who asks while a host\'s store still takes the answer shares it, however slow the store is', async (t) => {
  let finish = (): void => {}
  const put = async (_key: string, source: PackSource): Promise<void> => {
    await buffer(source.read())
    await new Promise<void>((resolve) => { finish = resolve })
  }
  const { fetch, started, cache, folder } = await makeScene(t, { store: makeObjectStore({ put }), minOccurrences: 0 })
  assert.ok((await bytesOf(await fetch(A, LARGE))).equals(LARGE))
  for (let i = 0; i < 50; i++) await nextIteration()
  const answer = await fetch(A, LARGE)
  assert.equal(answer.cache, 'shared')
  assert.ok((await bytesOf(answer)).equals(LARGE))
  assert.equal(started.length, 1)
  await until(() => { finish(); return cache.counters.kept === 1 })
  await until(async () => (await filesIn(folder)).temporary.length === 0)
})

for (const [how, read] of [
  ['shorter', () => Readable.from([LARGE.subarray(0, 2 * MB)])],
  ['longer', () => Readable.from([LARGE, LARGE])]
] as const) {
  test(`a stored answer that is ${how} than was promised never looks complete`, async (t) => {
    const { fetch } = await makeScene(t, { store: makeObjectStore({ get: async () => ({ ...stored(LARGE), read }) }) })
    await assert.rejects(async () => await bytesOf(await fetch(A, LARGE)), /than was promised/)
  })
}

test('what a host\'s store says too late is closed', async (t) => {
  let late = (_pack: StoredPack): void => {}
  let closed = 0
  const store = makeObjectStore({ get: async () => await new Promise((resolve) => { late = resolve }) })
  const { fetch } = await makeScene(t, { store, patience })
  await bytesOf(await fetch(A, SMALL))
  late(stored(LARGE, () => { closed++ }))
  await until(() => closed === 1)
})

test('a client that leaves while the store is asked leaves nothing open', async (t) => {
  let answer = (_pack: StoredPack): void => {}
  let closed = 0
  const { ask, started } = await makeScene(t, { store: makeObjectStore({ get: async () => await new Promise((resolve) => { answer = resolve }) }) })
  const left = new AbortController()
  const asked = ask(A, left.signal)
  left.abort(new Error('left'))
  answer(stored(LARGE, () => { closed++ }))
  await assert.rejects(asked, /left/)
  await until(() => closed === 1)
  assert.equal(started.length, 0)
})

test('a host\'s store that does not close does not stop the server', async (t) => {
  const { cache } = await makeScene(t, { store: { ...makeObjectStore(), close: never }, patience })
  await cache.close()
})

test('memory is bounded in bytes and in time, the least recently used goes, and a large answer is not taken', async (t) => {
  const store = new MemoryStore({ maxBytes: 1000, maxEntryBytes: 500 })
  for (const key of ['a', 'b']) await store.put(key, stored(random(400)))
  assert.ok(store.bytesOf('a') !== null)
  await store.put('c', stored(random(400)))
  assert.equal(store.bytesOf('b'), null)
  await store.put('d', stored(random(501)))
  assert.equal(await store.get('d'), null)
  assert.ok(store.bytes <= 1000)
  const pack = await store.get('a')
  assert.equal((await buffer(pack?.read() ?? new PassThrough())).length, 400)
  await assert.rejects(store.put('e', { ...stored(random(10)), size: 11 }), /not as long/)
  t.mock.method(performance, 'now', () => 1e12)
  const old = new MemoryStore({ maxAge: 1000 })
  old.keep('a', random(10))
  t.mock.method(performance, 'now', () => 1e12 + 1001)
  old.sweep()
  assert.equal(old.bytes, 0)
})
