import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { link, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { DirectoryStore, type DirectoryStoreOptions } from '../../lib/packs/directory-store.ts'
import { ownerName } from '../../lib/packs/owner.ts'
import type { PackSource } from '../../lib/packs/pack-store.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { stopClocks } from '../fixtures/simulated.ts'
import { bytesOf, filesIn, KB, keyOf, makeLog, makeScene, MB, openIn, random, until, type Log } from './helpers.ts'

const A = keyOf('a')
const B = keyOf('b')
const BYTES = random(100 * KB)

function sourceOf (bytes: Buffer): PackSource {
  return { size: bytes.length, read: () => Readable.from([bytes]) }
}

async function makeStore (t: TestContext, options: DirectoryStoreOptions = {}): Promise<{ store: DirectoryStore, folder: string, log: Log }> {
  const folder = options.directory ?? join(await temporaryFolder(t), 'packs')
  const log = makeLog()
  const store = new DirectoryStore({ directory: folder, ...options }, log)
  t.after(async () => await store.close())
  return { store, folder, log }
}

/** What the store has under the key. */
async function stored (store: DirectoryStore, key: string): Promise<Buffer | null> {
  const pack = await store.get(key)
  if (pack === null) return null
  const bytes = await buffer(pack.read())
  pack.close()
  return bytes
}

function fileOf (folder: string, key: string): string {
  return join(folder, `${key}.pack`)
}

/** Makes a file look so many milliseconds older. */
function age (path: string, milliseconds: number): void {
  const time = (Date.now() - milliseconds) / 1000
  utimesSync(path, time, time)
}

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

for (const [how, damage] of [
  ['cut short', (path: string) => truncateSync(path, 50_000)],
  ['cut short by one byte', (path: string) => truncateSync(path, statSync(path).size - 1)],
  ['empty', (path: string) => truncateSync(path, 0)],
  ['longer than it was', (path: string) => truncateSync(path, statSync(path).size + 1)],
  ['as long as promised, but with a hole where its end was', (path: string) => { const { size } = statSync(path); truncateSync(path, size - 80); truncateSync(path, size) }],
  ['readable by others', (path: string) => chmodSync(path, 0o644)],
  ['of another boot', (path: string) => { const bytes = readFileSync(path); bytes.fill(0, bytes.length - 16); writeFileSync(path, bytes) }]
] as const) {
  test(`a file that is ${how} is not served`, async (t) => {
    const { store, folder } = await makeStore(t)
    await store.put(A, sourceOf(BYTES))
    damage(fileOf(folder, A))
    assert.equal(await store.get(A), null)
    assert.deepEqual(await openIn(folder), [])
    await store.put(A, sourceOf(BYTES))
    assert.ok((await stored(store, A))?.equals(BYTES), 'and is replaced')
  })
}

test('a file of another owner is not served', async (t) => {
  const { store, folder } = await makeStore(t)
  await store.put(A, sourceOf(BYTES))
  chownSync(fileOf(folder, A), 65_534, 65_534)
  assert.equal(await store.get(A), null)
})

test('a whole file under another key\'s name is not served', async (t) => {
  const { store, folder } = await makeStore(t)
  await store.put(A, sourceOf(BYTES))
  await link(fileOf(folder, A), fileOf(folder, B))
  assert.equal(await store.get(B), null)
})

test('a symbolic link, a directory or a pipe in the place of a file is not served, and is no wait', async (t) => {
  const { store, folder } = await makeStore(t)
  await store.put(A, sourceOf(BYTES))
  await rename(fileOf(folder, A), join(folder, 'elsewhere'))
  await symlink(join(folder, 'elsewhere'), fileOf(folder, A))
  assert.equal(await store.get(A), null)
  mkdirSync(fileOf(folder, B))
  assert.equal(await store.get(B), null)
  execFileSync('mkfifo', [fileOf(folder, keyOf('c'))])
  assert.equal(await store.get(keyOf('c')), null)
})

for (const [how, plant] of [
  ['is a symbolic link', (folder: string) => { mkdirSync(`${folder}-real`, { mode: 0o700 }); symlinkSync(`${folder}-real`, folder) }],
  ['belongs to somebody else', (folder: string) => { mkdirSync(folder, { mode: 0o700 }); chownSync(folder, 65_534, 65_534) }],
  ['others can look into', (folder: string) => mkdirSync(folder, { mode: 0o755 })],
  ['is a file', (folder: string) => writeFileSync(folder, '')]
] as const) {
  test(`a folder that ${how} is not used: answers are sent without it, and the log says so once`, async (t) => {
    const folder = join(await temporaryFolder(t), 'packs')
    plant(folder)
    const { fetch, log, started } = await makeScene(t, { directory: folder, minOccurrences: 0, maxMemoryEntry: 1000 })
    for (const name of ['a', 'b', 'c']) assert.ok((await bytesOf(await fetch(keyOf(name), BYTES))).equals(BYTES))
    assert.equal(started.length, 3)
    assert.deepEqual(await filesIn(folder), { entries: [], temporary: [] })
    assert.equal(log.lines.length, 1, JSON.stringify(log.lines))
    assert.match(log.lines[0]?.message ?? '', /cannot be kept on disk/)
  })
}

test('a folder that became another user\'s while the server runs is not read either', async (t) => {
  const { store, folder } = await makeStore(t)
  await store.put(A, sourceOf(BYTES))
  chownSync(folder, 65_534, 65_534)
  assert.equal(await store.get(A), null)
  await assert.rejects(store.put(B, sourceOf(BYTES)), /belongs to another user/)
  chownSync(folder, 0, 0)
})

test('a folder that was cleaned away is made again', async (t) => {
  const { store, folder } = await makeStore(t)
  await store.put(A, sourceOf(BYTES))
  await rm(folder, { recursive: true })
  assert.equal(await store.get(A), null)
  await store.put(A, sourceOf(BYTES))
  assert.ok((await stored(store, A))?.equals(BYTES))
})

test('the oldest go when the folder is full, but none that is being read', async (t) => {
  const { store, folder } = await makeStore(t, { maxBytes: 350 * KB })
  for (const [i, name] of ['a', 'b', 'c'].entries()) {
    await store.put(keyOf(name), sourceOf(BYTES))
    age(fileOf(folder, keyOf(name)), 10_000 - i * 1000)
  }
  const reading = await store.get(A)
  await store.put(keyOf('d'), sourceOf(BYTES))
  assert.deepEqual((await filesIn(folder)).entries.sort(), ['a', 'c', 'd'].map((name) => `${keyOf(name)}.pack`).sort())
  assert.ok(store.directory.bytes <= 350 * KB)
  assert.ok((await buffer(reading?.read() ?? assert.fail())).equals(BYTES))
  reading?.close()
  await store.put(keyOf('e'), sourceOf(BYTES))
  assert.ok(!(await filesIn(folder)).entries.includes(`${A}.pack`))
})

test('when everything is in use there is no room, and a put says so', async (t) => {
  const { store, folder } = await makeStore(t, { maxBytes: 150 * KB })
  await store.put(A, sourceOf(BYTES))
  const reading = await store.get(A)
  await assert.rejects(store.put(B, sourceOf(BYTES)), /as much as it may/)
  assert.deepEqual((await filesIn(folder)).temporary, [])
  reading?.close()
  await store.put(B, sourceOf(BYTES))
})

test('what other processes put counts, also when this one is never told', async (t) => {
  const { store, folder } = await makeStore(t, { maxBytes: MB })
  const other = await makeStore(t, { directory: folder, maxBytes: 100 * MB })
  for (let i = 0; i < 30; i++) {
    await other.store.put(keyOf(`other ${i}`), sourceOf(BYTES))
    age(fileOf(folder, keyOf(`other ${i}`)), 1000)
  }
  await store.put(A, sourceOf(BYTES))
  const { entries } = await filesIn(folder)
  assert.ok(entries.includes(`${A}.pack`))
  assert.ok(entries.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0) <= MB)
})

test('what is too old is not served, and is removed, but not under a reader', async (t) => {
  const { store, folder } = await makeStore(t, { maxAge: 60_000 })
  await store.put(A, sourceOf(BYTES))
  await store.put(B, sourceOf(BYTES))
  const reading = await store.get(B)
  for (const key of [A, B]) age(fileOf(folder, key), 61_000)
  assert.equal(await store.get(A), null)
  await store.directory.sweep()
  assert.deepEqual((await filesIn(folder)).entries, [`${B}.pack`])
  assert.ok((await buffer(reading?.read() ?? assert.fail())).equals(BYTES))
  reading?.close()
  await store.directory.sweep()
  assert.deepEqual((await filesIn(folder)).entries, [])
})

test('an open file that has become too old is not lent again; its successor is', async (t) => {
  const clock = stopClocks(t)
  const { store, folder } = await makeStore(t, { maxAge: 60_000 })
  await store.put(A, sourceOf(BYTES))
  const reading = await store.get(A)
  clock.pass(61_000)
  assert.equal(await store.get(A), null)
  const newer = random(5000)
  await store.put(A, sourceOf(newer))
  age(fileOf(folder, A), 0)
  assert.ok((await stored(store, A))?.equals(newer))
  assert.ok((await buffer(reading?.read() ?? assert.fail())).equals(BYTES))
  reading?.close()
})

test('leftovers of processes that have ended are swept at the start; those of living ones, and files of other names, stay', async (t) => {
  const folder = join(await temporaryFolder(t), 'packs')
  mkdirSync(folder, { mode: 0o700 })
  const own = await ownerName()
  const [machine, pid, start] = own.split('-') as [string, string, string]
  const parent = await ownerName(process.ppid)
  const dead = `tmp-${machine}-4194305-1000-aa`
  const reused = `tmp-${machine}-${pid}-${Number(start) - 1}-bb`
  const living = [`tmp-${own}-cc`, `tmp-${parent}-dd`]
  const elsewhere = `tmp-000000000000-${pid}-${start}-ee`
  const abandoned = `tmp-000000000000-${pid}-${start}-ff`
  const foreign = ['tmp-notes', 'readme.pack', `${A}.txt`]
  for (const name of [dead, reused, elsewhere, abandoned, ...living, ...foreign]) writeFileSync(join(folder, name), 'x')
  for (const name of [...living, ...foreign, abandoned]) age(join(folder, name), 90_000_000)
  const { store } = await makeStore(t, { directory: folder })
  await store.directory.sweep()
  const left = execFileSync('ls', [folder], { encoding: 'utf8' }).trim().split('\n')
  assert.deepEqual(left.sort(), [elsewhere, ...living, ...foreign].sort())
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
