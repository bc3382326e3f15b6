import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { ownerName } from '../../lib/packs/owner.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { stopClocks } from '../fixtures/simulated.ts'
import { A, age, B, BYTES, fileOf, makeStore, sourceOf, stored } from './directory-scene.ts'
import { filesIn, KB, keyOf, MB, random } from './helpers.ts'

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
