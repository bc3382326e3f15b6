import assert from 'node:assert/strict'
import { statSync, truncateSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { A, BYTES, fileOf, makeStore, sourceOf, stored } from './directory-scene.ts'
import { filesIn, MB, openIn, random, until } from './helpers.ts'

test('what was put is there, also for a later process and for many readers, and only the server\'s user can read it', async (t) => {
  const { store, folder } = await makeStore(t)
  assert.equal(await store.get(A), null)
  await store.put(A, sourceOf(BYTES))
  const pack = await store.get(A)
  assert.equal(pack?.size, BYTES.length)
  for (const bytes of await Promise.all([pack?.read(), pack?.read()].map(async (reader) => await buffer(reader ?? assert.fail())))) {
    assert.ok(bytes.equals(BYTES))
  }
  pack?.close()
  const later = await makeStore(t, { directory: folder })
  assert.ok((await stored(later.store, A))?.equals(BYTES))
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  assert.equal(statSync(fileOf(folder, A)).mode & 0o777, 0o600)
})

test('temporary files are the user\'s alone as well, and a put that breaks off leaves none', async (t) => {
  const { store, folder } = await makeStore(t)
  const breaking = store.put(A, { size: BYTES.length, read: () => Readable.from(breakOff()) })
  async function * breakOff (): AsyncGenerator<Buffer> {
    yield BYTES.subarray(0, 1000)
    await until(async () => (await filesIn(folder)).temporary.length === 1)
    const [name] = (await filesIn(folder)).temporary
    assert.equal(statSync(join(folder, name ?? assert.fail())).mode & 0o777, 0o600)
    throw new Error('broke off')
  }
  await assert.rejects(breaking, /broke off/)
  await assert.rejects(store.put(A, { size: BYTES.length + 1, read: () => Readable.from([BYTES]) }), /not as long/)
  assert.deepEqual(await filesIn(folder), { entries: [], temporary: [] })
  assert.equal(store.directory.bytes, 0)
})

test('a folder that was cleaned away is made again', async (t) => {
  const { store, folder } = await makeStore(t)
  await store.put(A, sourceOf(BYTES))
  await rm(folder, { recursive: true })
  assert.equal(await store.get(A), null)
  await store.put(A, sourceOf(BYTES))
  assert.ok((await stored(store, A))?.equals(BYTES))
})

test('readers share one descriptor, which is closed after the last', async (t) => {
  const { store, folder } = await makeStore(t)
  await store.put(A, sourceOf(BYTES))
  const packs = await Promise.all(Array.from({ length: 20 }, async () => await store.get(A)))
  assert.deepEqual(await openIn(folder), [fileOf(folder, A)])
  for (const pack of packs) pack?.close()
  await until(async () => (await openIn(folder)).length === 0)
})

test('a file that is cut short under its reader never looks complete', async (t) => {
  const { store, folder } = await makeStore(t)
  const large = random(3 * MB)
  await store.put(A, sourceOf(large))
  const pack = await store.get(A)
  truncateSync(fileOf(folder, A), MB)
  await assert.rejects(buffer(pack?.read() ?? assert.fail()), /cut short/)
  pack?.close()
})
