import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { link, rename, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { A, B, BYTES, fileOf, makeStore, sourceOf, stored } from './directory-scene.ts'
import { bytesOf, filesIn, keyOf, makeScene, openIn } from './helpers.ts'

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
