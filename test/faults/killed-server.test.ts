/** kill -9 of the server, its helpers and its gits at once: what was acknowledged is there, what was not leaves nothing for ever. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { watch } from 'node:fs'
import { readdir, utimes } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { GitHttpOptions } from '../../lib/index.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { helpersOf, isRunning } from '../fixtures/helpers.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { commitRandom, makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServerProcess, type ServerProcess } from '../fixtures/server-process.ts'

async function start (t: TestContext, options: GitHttpOptions & { root: string }): Promise<ServerProcess> {
  const server = await startServerProcess({ publicWrite: true, ...options })
  t.after(async () => { await server.killAll(options.root) })
  return server
}

const FOUND = /tmp_objdir|incoming-|\.lock$|tmp_pack/

for (const processes of [0, 1]) {
  test(`pushes that clients saw succeed survive (${processes} helpers)`, async (t) => {
    const root = await temporaryFolder(t)
    const served = await makeRepository(root, 'app.git', { commits: 0 })
    const work = await makeWorkingCopy(await temporaryFolder(t), 'work')
    const server = await start(t, { root, spawner: { processes } })
    const seen = new Map<string, string>()
    // One after the other, and the next one is under way when everything ends.
    for (let i = 0; i < 3; i++) {
      const id = await commitRandom(work, `${i}.bin`, 100_000)
      await git(['push', '--quiet', `${server.url}/app.git`, `main:refs/heads/b${i}`], { cwd: work })
      seen.set(`refs/heads/b${i}`, id)
    }
    await commitRandom(work, 'big.bin', 8_000_000)
    const last = tryGit(['push', `${server.url}/app.git`, 'main:refs/heads/last'], { cwd: work })
    await eventually(async () => (await readdir(join(served, 'objects'))).some((name) => FOUND.test(name)), 10_000, 'the last push is under way')
    await server.killAll(root)
    const succeeded = (await last).code === 0
    assert.deepEqual(await processesAbout(root), [])
    const again = await start(t, { root, spawner: { processes } })
    const refs = new Map((await git(['ls-remote', `${again.url}/app.git`])).split('\n').map((line) => line.split('\t').reverse() as [string, string]))
    for (const [ref, id] of seen) assert.equal(refs.get(ref), id)
    if (succeeded) assert.ok(refs.has('refs/heads/last'))
    await git(['fsck', '--full', '--strict'], { cwd: served })
    await git(['push', '--quiet', `${again.url}/app.git`, 'main:refs/heads/last'], { cwd: work })
  })
}

test('pushes whose server alone is killed, at any time, leave nothing', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git', { commits: 0 })
  const work = await makeWorkingCopy(await temporaryFolder(t), 'work')
  await commitRandom(work, 'big.bin', 2_000_000)
  // How far the push gets: 0 to 200 ms after its objects begin to arrive. Unpacked, and as a pack.
  for (let round = 0; round < 8; round++) {
    await git(['config', 'receive.unpackLimit', round % 2 === 0 ? '1' : '100'], { cwd: served })
    const server = await start(t, { root, spawner: { processes: 2 } })
    const watcher = watch(join(served, 'objects'))
    const begun = once(watcher, 'change')
    const pushes = [0, 1, 2].map((i) => tryGit(['push', `${server.url}/app.git`, `main:refs/heads/b${round}-${i}`], { cwd: work }))
    await begun
    watcher.close()
    await delay(round * 25)
    const helpers = await helpersOf(server.pid)
    server.child.kill('SIGKILL')
    await Promise.all(pushes)
    await eventually(async () => (await processesAbout(served)).length === 0, 5_000, 'the gits end')
    // What git could not remove itself they remove after its end, and end then.
    await eventually(async () => !(await Promise.all(helpers.map(isRunning))).includes(true), 10_000, 'the helpers end')
    assert.equal(helpers.length, 2)
    assert.deepEqual((await readdir(served, { recursive: true })).filter((name) => FOUND.test(name)), [], `round ${round}`)
    await git(['fsck', '--full', '--strict'], { cwd: served })
  }
})

test('the quarantine of a push that nobody ended is removed by a later server', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git', { commits: 0 })
  // A pack stays one, so that part of it is there.
  await git(['config', 'receive.unpackLimit', '1'], { cwd: served })
  const work = await makeWorkingCopy(await temporaryFolder(t), 'work')
  const id = await commitRandom(work, 'big.bin', 4_000_000)
  const { bytes: pack } = await tryGit(['pack-objects', '--revs', '--stdout', '-q'], { cwd: work, input: `${id}\n` })
  const line = `${'0'.repeat(40)} ${id} refs/heads/main\0report-status`
  const server = await start(t, { root })
  const socket = connect(server.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('POST /app.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-git-receive-pack-request\r\n' +
    `Content-Length: 5000000\r\n\r\n${(line.length + 4).toString(16).padStart(4, '0')}${line}0000`)
  socket.write(pack.subarray(0, 2_000_000))
  const leftovers = async (): Promise<string[]> => (await readdir(served, { recursive: true })).filter((name) => FOUND.test(name))
  await eventually(async () => (await leftovers()).some((name) => name.includes('tmp_pack')), 10_000, 'the quarantine appears')
  await server.killAll(root)
  const left = await leftovers()
  assert.ok(left.length > 0)
  const again = await start(t, { root })
  const push = async (ref: string): Promise<void> => { await git(['push', '--quiet', `${again.url}/app.git`, `main:${ref}`], { cwd: work }) }
  await push('refs/heads/a')
  assert.deepEqual(await leftovers(), left, 'it could be somebody else\'s')
  for (const name of left) await utimes(join(served, name), new Date(0), new Date(0))
  await again.killAll(root)
  const third = await start(t, { root })
  await git(['push', '--quiet', `${third.url}/app.git`, 'main:refs/heads/b'], { cwd: work })
  assert.deepEqual(await leftovers(), [])
  await git(['fsck', '--full'], { cwd: served })
})
