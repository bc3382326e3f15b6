import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import type { PackAnswer } from '../../lib/packs/pack-answer.ts'
import { LivePacks } from '../../lib/packs/live.ts'
import { Trouble } from '../../lib/packs/trouble.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { eventually } from '../fixtures/processes.ts'
import { keyOf, makeLog, makeScene, MB, type FakeGit, type Scene } from './helpers.ts'

const KEY = keyOf('one')

async function all ({ bytes, stream }: PackAnswer): Promise<Buffer> {
  return bytes ?? await buffer(stream as NonNullable<typeof stream>)
}

/** Caches that share a folder, as processes of one machine do. */
async function sharing (t: Parameters<typeof makeScene>[0], count: number): Promise<Scene[]> {
  const directory = join(await temporaryFolder(t), 'packs')
  return await Promise.all(Array.from({ length: count }, async () => await makeScene(t, { directory, shared: true })))
}

for (const size of [1000, 9 * MB]) {
  test(`what ${size} bytes cost is paid once by all caches of a machine`, async (t) => {
    const scenes = await sharing(t, 4)
    const answer = randomBytes(size)
    const asked = scenes.flatMap((scene) => [scene.ask(KEY), scene.ask(KEY)])
    await eventually(async () => scenes.some(({ started }) => started.length > 0), 5_000, 'somebody starts')
    const [git] = scenes.flatMap(({ started }) => started)
    git?.stdout.write(answer.subarray(0, 500))
    const answers = await Promise.all(asked)
    const bodies = answers.map(all)
    git?.stdout.end(answer.subarray(500))
    for (const body of await Promise.all(bodies)) assert.ok(body.equals(answer))
    assert.equal(scenes.flatMap(({ started }) => started).length, 1)
    assert.deepEqual(answers.map(({ cache }) => cache).sort(), ['miss', ...Array.from({ length: 7 }, () => 'shared')])
    assert.equal(scenes.reduce((sum, { cache }) => sum + cache.counters.misses, 0), 1)
    assert.equal(scenes.reduce((sum, { cache }) => sum + cache.counters.shared, 0), 7)
  })
}

test('who comes when it is complete finds it, in any cache, the first time', async (t) => {
  const [one, two] = await sharing(t, 2) as [Scene, Scene]
  const answer = randomBytes(1000)
  await all(await one.fetch(KEY, answer))
  await eventually(async () => one.cache.counters.kept === 1, 5_000, 'it is kept')
  const again = await two.ask(KEY)
  assert.equal(again.cache, 'hit')
  assert.ok((await all(again)).equals(answer))
})

test('an error that git tells its client is one for those of other processes as well, and is not kept', async (t) => {
  const [one, two] = await sharing(t, 2) as [Scene, Scene]
  const asked = [one.ask(KEY)]
  await eventually(async () => one.started.length > 0, 5_000, 'one starts')
  asked.push(two.ask(KEY))
  one.started[0]?.stdout.write(randomBytes(500))
  const answers = await Promise.all(asked)
  const [git] = one.started as [FakeGit]
  Object.assign(git.stdout, { holds: false, refused: true }).end()
  for (const answer of answers) {
    await all(answer)
    assert.equal(answer.isRefused?.(), true)
  }
  assert.equal((await two.fetch(KEY, randomBytes(300))).cache, 'miss')
})

test('an answer that breaks off is broken for all, and made anew for the next', async (t) => {
  const [one, two] = await sharing(t, 2) as [Scene, Scene]
  const first = one.ask(KEY)
  await eventually(async () => one.started.length > 0, 5_000, 'one starts')
  const second = two.ask(KEY)
  one.started[0]?.stdout.write(randomBytes(500))
  const bodies = (await Promise.all([first, second])).map(all)
  one.started[0]?.stdout.destroy(new Error('killed'))
  for (const { status } of await Promise.allSettled(bodies)) assert.equal(status, 'rejected')
  const answer = randomBytes(700)
  assert.ok((await all(await two.fetch(KEY, answer))).equals(answer))
})

test('who made it fails before the first byte: another one makes it', async (t) => {
  const [one, two] = await sharing(t, 2) as [Scene, Scene]
  const first = one.ask(KEY)
  await eventually(async () => one.started.length > 0, 5_000, 'one starts')
  const answer = randomBytes(300)
  const second = two.fetch(KEY, answer)
  one.started[0]?.stdout.destroy(new Error('killed'))
  await assert.rejects(first)
  assert.ok((await all(await second)).equals(answer))
})

test('the clients of the one who makes it leave, and those of the others get it all', async (t) => {
  const [one, two] = await sharing(t, 2) as [Scene, Scene]
  const left = new AbortController()
  const first = one.ask(KEY, left.signal)
  await eventually(async () => one.started.length > 0, 5_000, 'one starts')
  const second = two.ask(KEY)
  one.started[0]?.stdout.write(randomBytes(500))
  await first
  const { stream } = await second
  left.abort()
  one.started[0]?.stdout.end(randomBytes(500))
  assert.equal((await buffer(stream as NonNullable<typeof stream>)).length, 1000)
  assert.equal(one.started[0]?.signal.aborted, false)
})

test('the last client of all leaves: git is ended', async (t) => {
  const [one, two] = await sharing(t, 2) as [Scene, Scene]
  const [first, second] = [new AbortController(), new AbortController()]
  const asked = [one.ask(KEY, first.signal)]
  await eventually(async () => one.started.length > 0, 5_000, 'one starts')
  asked.push(two.ask(KEY, second.signal))
  one.started[0]?.stdout.write(randomBytes(500))
  await Promise.all(asked)
  first.abort()
  second.abort()
  await eventually(async () => one.started[0]?.signal.aborted === true, 5_000, 'git is ended')
})

test('a cache that closes waits for those of others who read from it', async (t) => {
  const [one, two] = await sharing(t, 2) as [Scene, Scene]
  const first = one.ask(KEY)
  await eventually(async () => one.started.length > 0, 5_000, 'one starts')
  const second = two.ask(KEY)
  one.started[0]?.stdout.write(randomBytes(500))
  await first
  const { stream } = await second
  const closed = one.cache.close()
  one.started[0]?.stdout.end(randomBytes(500))
  assert.equal((await buffer(stream as NonNullable<typeof stream>)).length, 1000)
  await closed
})

test('the socket of a process that was killed is no obstacle', async (t) => {
  const [one, two] = await sharing(t, 2) as [Scene, Scene]
  await all(await one.fetch(keyOf('other'), Buffer.from('x')))
  const { directory } = new LivePacks(one.folder, new Trouble(makeLog()))
  const path = join(directory, KEY.slice(0, 24))
  const dead = spawn(process.execPath, ['-e', `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log())`], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(dead.stdout as NonNullable<typeof dead.stdout>, 'data')
  dead.kill('SIGKILL')
  await once(dead, 'exit')
  assert.ok((await readdir(directory)).includes(KEY.slice(0, 24)))
  const answer = randomBytes(300)
  const bodies = await Promise.all([one, two].map(async (scene) => await all(await scene.fetch(KEY, answer))))
  for (const body of bodies) assert.ok(body.equals(answer))
  assert.equal(one.started.length + two.started.length, 2)
})

test('whoever listens there and says nonsense, or nothing and leaves, costs time only', async (t) => {
  const [one] = await sharing(t, 1) as [Scene]
  await all(await one.fetch(keyOf('other'), Buffer.from('x')))
  const { directory } = new LivePacks(one.folder, new Trouble(makeLog()))
  const server = createServer((socket) => { socket.end() }).listen(join(directory, KEY.slice(0, 24)))
  await once(server, 'listening')
  t.after(() => { server.close() })
  assert.equal((await all(await one.fetch(KEY, Buffer.from('right')))).toString(), 'right')
})

test('without a folder for sockets each cache makes its own, and says so once', async (t) => {
  const [one, two] = await sharing(t, 2) as [Scene, Scene]
  const { directory } = new LivePacks(one.folder, new Trouble(makeLog()))
  await writeFile(directory, 'in the way')
  t.after(async () => { await import('node:fs/promises').then(async ({ rm }) => await rm(directory)) })
  for (const name of ['a', 'b']) {
    for (const scene of [one, two]) assert.equal((await all(await scene.fetch(keyOf(name), Buffer.from(name)))).toString(), name)
  }
  assert.equal(one.log.lines.length, 1, JSON.stringify(one.log.lines))
})
