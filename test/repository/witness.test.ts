import assert from 'node:assert/strict'
import { appendFileSync, chmodSync, mkdirSync, renameSync, rmSync, statSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as nextIteration } from 'node:timers/promises'
import { type Interest, Witness } from '../../lib/repository/witness.ts'
import { freezeStats, intercept } from '../fixtures/simulated.ts'
import { makeScene, MINUTE } from './witness-scene.ts'

/** What can happen, and what it happens to. */
const CHANGES: Record<string, { path: string, change: (at: (name: string) => string) => void }> = {
  'other content of the same size': { path: 'file', change: (at) => writeFileSync(at('file'), 'two') },
  'other content under the old times': { path: 'file', change: (at) => { writeFileSync(at('file'), 'two'); utimesSync(at('file'), 1_000, 1_000) } },
  'more content': { path: 'file', change: (at) => appendFileSync(at('file'), 'more') },
  'no content': { path: 'file', change: (at) => truncateSync(at('file')) },
  'other permissions': { path: 'file', change: (at) => chmodSync(at('file'), 0o600) },
  'a file that vanishes': { path: 'file', change: (at) => rmSync(at('file')) },
  'a file that appears': { path: 'missing', change: (at) => writeFileSync(at('missing'), '') },
  'a folder that appears': { path: 'missing', change: (at) => mkdirSync(at('missing')) },
  'a file replaced by one like it': { path: 'file', change: (at) => renameSync(at('other'), at('file')) },
  'a file that becomes a folder': { path: 'file', change: (at) => { rmSync(at('file')); mkdirSync(at('file')) } },
  'a new entry of a folder': { path: 'folder', change: (at) => writeFileSync(at('folder/new'), '') },
  'an entry less': { path: 'folder', change: (at) => rmSync(at('folder/child')) },
  'an entry of another name': { path: 'folder', change: (at) => renameSync(at('folder/child'), at('folder/dlihc')) },
  'a symlink that leads elsewhere': { path: 'link', change: (at) => { rmSync(at('link')); symlinkSync('other', at('link')) } },
  'a symlink that leads nowhere': { path: 'link', change: (at) => { rmSync(at('link')); symlinkSync('nowhere', at('link')) } },
  'a change behind a symlink': { path: 'link', change: (at) => writeFileSync(at('file'), 'two') },
  'an inode that comes back': {
    path: 'file',
    change: (at) => {
      const { ino } = statSync(at('file'))
      for (let i = 0; i < 1000; i++) {
        rmSync(at('file'))
        writeFileSync(at('file'), 'two')
        if (statSync(at('file')).ino === ino) return
        writeFileSync(at(`filler-${i}`), '')
      }
    }
  }
}

for (const [what, { path, change }] of Object.entries(CHANGES)) {
  for (const age of ['young', 'old']) {
    test(`${what} shows, ${age} as it was`, async (t) => {
      const { clock, at } = await makeScene(t)
      const witness = await Witness.take([[at(path), 'content']])
      if (age === 'old') clock.pass(MINUTE)
      assert.equal(await witness.unchanged(), true)
      assert.equal(await witness.unchanged(), true)
      change(at)
      assert.equal(await witness.unchanged(), false)
    })
  }
}

test('two changes in one tick of the clock: content tells what times and inode do not', async (t) => {
  const { clock, at } = await makeScene(t)
  freezeStats(t, at('file'))
  freezeStats(t, at('folder'))
  for (const change of [() => writeFileSync(at('file'), 'two'), () => renameSync(at('folder/child'), at('folder/dlihc'))]) {
    const witness = await Witness.take([[at('file'), 'content'], [at('folder'), 'content']])
    clock.pass(100)
    assert.equal(await witness.unchanged(), true)
    change()
    assert.equal(await witness.unchanged(), false)
  }
})

test('a file is compared by its content until no change can hide any more', async (t) => {
  const { clock, at } = await makeScene(t)
  let reads = 0
  intercept(t, 'readFileSync', (original, path) => {
    if (path === at('file')) reads++
    return original()
  })
  const witness = await Witness.take([[at('file'), 'content']])
  for (let i = 0; i < 5; i++) await witness.unchanged()
  assert.equal(reads, 6, 'young')
  clock.pass(MINUTE)
  await witness.unchanged()
  assert.equal(reads, 7, 'a last time')
  for (let i = 0; i < 5; i++) await witness.unchanged()
  assert.equal(reads, 7, 'old')
})

test('what may not be looked at is as good as missing, and what may not be read never proves anything while it is young', async (t) => {
  const { clock, at } = await makeScene(t)
  const [hidden, sealed] = [new Set([at('file')]), new Set([at('other'), at('folder')])]
  const deny = (names: Set<string>) => (original: () => unknown, path: string): unknown => {
    if (names.has(path)) throw Object.assign(new Error('EACCES'), { code: 'EACCES' })
    return original()
  }
  intercept(t, 'statSync', deny(hidden))
  intercept(t, 'readFileSync', deny(sealed))
  intercept(t, 'opendirSync', deny(sealed))
  const witness = await Witness.take([[at('file'), 'content']])
  assert.equal(witness.has(at('file')), false)
  assert.equal(await witness.unchanged(), true)
  hidden.clear()
  assert.equal(await witness.unchanged(), false)

  for (const path of sealed) {
    const unread = await Witness.take([[path, 'content']])
    assert.equal(await unread.unchanged(), false)
    clock.pass(MINUTE)
    assert.equal(await (await Witness.take([[path, 'content']], unread)).unchanged(), true)
    clock.pass(-MINUTE)
  }
})

test('identity: the same file or folder, whatever is in it', async (t) => {
  const { at } = await makeScene(t)
  const same: Array<[string, () => void]> = [
    ['file', () => writeFileSync(at('file'), 'two')],
    ['folder', () => writeFileSync(at('folder/new'), '')],
    ['link', () => writeFileSync(at('file'), 'three')],
    ['missing', () => {}]
  ]
  for (const [path, change] of same) {
    const witness = await Witness.take([[at(path), 'identity']])
    change()
    assert.equal(await witness.unchanged(), true, path)
  }
  const others: Array<[string, () => void]> = [
    ['file', () => chmodSync(at('file'), 0o600)],
    ['link', () => { rmSync(at('link')); symlinkSync('other', at('link')) }],
    ['file', () => renameSync(at('other'), at('file'))],
    ['file', () => rmSync(at('file'))],
    ['folder', () => { renameSync(at('folder'), at('moved')); mkdirSync(at('folder')) }],
    ['missing', () => writeFileSync(at('missing'), '')]
  ]
  for (const [path, change] of others) {
    const witness = await Witness.take([[at(path), 'identity']])
    change()
    assert.equal(await witness.unchanged(), false, path)
  }
})

test('thousands of files are looked at in slices that leave the event loop its turns', async (t) => {
  const { clock, folder } = await makeScene(t)
  const paths = Array.from({ length: 5_000 }, (_, i): [string, Interest] => [join(folder, `absent-${i}`), 'content'])
  let [turns, looks, longest, done] = [0, 0, 0, false]
  // A look costs a tenth of a millisecond here.
  intercept(t, 'statSync', (original) => {
    clock.pass(0.1)
    longest = Math.max(longest, ++looks)
    return original()
  })
  const turn = (): void => {
    turns++
    looks = 0
    if (!done) setImmediate(turn)
  }
  setImmediate(turn)
  const witness = await Witness.take(paths)
  const taking = turns
  await nextIteration()
  assert.equal(await witness.unchanged(), true)
  done = true
  assert.equal(witness.size, 5_000)
  assert.ok(longest <= 20, `${longest} looks, a tenth of a millisecond each, without a turn`)
  for (const count of [taking, turns - taking]) assert.ok(count >= 250, `${count} turns in half a second`)
})
