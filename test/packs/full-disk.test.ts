import assert from 'node:assert/strict'
import { mkdirSync, statfsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { bytesOf, filesIn, keyOf, makeScene, MB, mountSmall, random, until } from './helpers.ts'

const LARGE = random(12 * MB)
const A = keyOf('a')

/** A folder that can hold 5 MiB: a small file system, or, where none can be mounted, one where writes fail beyond that. */
async function smallFolder (t: TestContext): Promise<string> {
  return mountSmall(t, 5 * MB) ?? await failingFolder(t)
}

async function failingFolder (t: TestContext): Promise<string> {
  const folder = join(await temporaryFolder(t), 'packs')
  mkdirSync(folder, { mode: 0o700 })
  await failBeyond(t, folder, 5 * MB)
  return folder
}

async function failBeyond (t: TestContext, folder: string, limit: number): Promise<void> {
  const probe = await open(join(folder, 'probe'), 'w')
  const prototype = Object.getPrototypeOf(probe) as { writev: (buffers: Buffer[], position: number) => Promise<{ bytesWritten: number }> }
  await probe.close()
  const { writev } = prototype
  t.mock.method(prototype, 'writev', async function (this: unknown, buffers: Buffer[], position: number) {
    const length = buffers.reduce((sum, buffer) => sum + buffer.length, 0)
    if (position >= limit) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
    const fitting = position + length <= limit ? buffers : [Buffer.concat(buffers).subarray(0, limit - position)]
    return await writev.call(this, fitting, position)
  })
}

for (const [how, makeFolder] of [['a small file system', smallFolder], ['failing writes', failingFolder]] as const) {
  test(`a full disk (${how}): every client gets every byte, nothing is kept, the log says so once, and the space comes back`, async (t) => {
    const { fetch, log, started, folder, cache } = await makeScene(t, { directory: await makeFolder(t), minOccurrences: 0 })
    for (let i = 1; i <= 3; i++) {
      const answers = await Promise.all([fetch(A, LARGE), fetch(A, LARGE), fetch(A, LARGE)])
      for (const bytes of await Promise.all(answers.map(bytesOf))) assert.ok(bytes.equals(LARGE))
      await until(async () => (await filesIn(folder)).temporary.length === 0)
      assert.equal(started.length, i)
    }
    assert.deepEqual((await filesIn(folder)).entries, [])
    assert.equal(cache.counters.kept, 0)
    await until(() => cache.counters.stored.directory === 0)
    assert.equal(log.lines.length, 1, JSON.stringify(log.lines))
    assert.equal((log.lines[0]?.details as { err: NodeJS.ErrnoException }).err.code, 'ENOSPC')
    await bytesOf(await fetch(A, LARGE.subarray(0, 4_500_000)))
    await until(() => cache.counters.kept === 1)
    assert.equal((await fetch(A, LARGE)).cache, 'hit', 'what fits is kept again')
  })
}

test('a disk that becomes full with the last bytes: served, and not kept', async (t) => {
  const scene = await smallFolder(t)
  const { blocks, bsize } = statfsSync(scene)
  const { fetch, folder, cache } = await makeScene(t, { directory: scene, minOccurrences: 0 })
  // Room for the answer, and none for the trailer that makes it an entry.
  const bytes = LARGE.subarray(0, Math.min(5 * MB, blocks * bsize))
  assert.ok((await bytesOf(await fetch(A, bytes))).equals(bytes))
  await until(async () => (await filesIn(folder)).temporary.length === 0)
  assert.deepEqual((await filesIn(folder)).entries, [])
  assert.equal(cache.counters.kept, 0)
})

test('an answer larger than the folder may hold is served whole, and what was kept made room for nothing', async (t) => {
  const { fetch, folder, cache, log } = await makeScene(t, { maxBytes: 5 * MB, minOccurrences: 0 })
  const answers = await Promise.all([fetch(A, LARGE), fetch(A, LARGE)])
  for (const bytes of await Promise.all(answers.map(bytesOf))) assert.ok(bytes.equals(LARGE))
  await until(async () => (await filesIn(folder)).temporary.length === 0)
  await until(() => cache.counters.stored.directory === 0)
  assert.equal(log.lines.length, 1)
})

test('a client that has stopped in a full disk\'s broadcast is waited for, and ends with its going', async (t) => {
  const { started, fetch, ask, log } = await makeScene(t, { maxBytes: 1, maxMemoryEntry: 1000 })
  const left = new AbortController()
  const stopped = ask(A, left.signal)
  await until(() => started.length === 1)
  const follower = ask(A)
  const { stdout } = started[0] ?? assert.fail()
  const whole = LARGE.subarray(0, 4 * MB)
  let at = 0
  const more = (): void => {
    while (at < whole.length) if (!stdout.write(whole.subarray(at, at += 65_536))) return
    stdout.end()
  }
  stdout.on('drain', more)
  more()
  const read = bytesOf(await follower)
  await stopped
  await until(() => log.lines.length === 1)
  const other = await fetch(A, whole)
  assert.equal(other.cache, 'miss', 'too late to join')
  assert.ok((await bytesOf(other)).equals(whole))
  assert.ok(at < whole.length, 'git waits')
  left.abort(new Error('left'))
  assert.ok((await read).equals(whole))
})
