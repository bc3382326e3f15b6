/** Many who want nothing, or leave: an ordinary client does not notice them, and nothing of them stays. `npm run bench:faults` does the same with ten thousand. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, readdir } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { abort, KINDS, type Target } from '../../benchmarks/faults-aborts.ts'
import { generator } from '../../benchmarks/faults-latency.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { helpersOf } from '../fixtures/helpers.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { commitRandom, makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServerProcess } from '../fixtures/server-process.ts'
import { settled } from '../fixtures/settled.ts'

test('connections that say nothing, and slow headers, are no operations and take no slot', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git', { commits: 20 })
  const server = await startServerProcess({ root, limits: { maxConcurrent: 1, maxQueued: 1 } })
  t.after(async () => { await server.killAll(root) })
  const before = await settled(server.descriptors)
  const sockets = await Promise.all(Array.from({ length: 600 }, async (_, i): Promise<Socket> => {
    const socket = connect(server.port, '127.0.0.1')
    socket.on('error', () => {})
    await once(socket, 'connect')
    if (i % 3 === 0) socket.write('POST /app.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\nX-Slow: ')
    if (i % 3 === 1) socket.write('GET /app.git/in')
    return socket
  }))
  const slowly = setInterval(() => { for (const socket of sockets) if (socket.bytesWritten > 0) socket.write('x') }, 50)
  t.after(() => clearInterval(slowly))
  await eventually(async () => await server.descriptors() >= before + sockets.length, 5_000, 'all are connected')
  assert.equal((await server.look()).active, 0)
  const clone = join(await temporaryFolder(t), 'clone')
  await git(['clone', '--quiet', `${server.url}/app.git`, clone])
  await git(['fsck', '--full'], { cwd: clone })
  clearInterval(slowly)
  for (const socket of sockets) socket.destroy()
  await eventually(async () => await server.descriptors() === before, 5_000, 'their descriptors are closed')
  assert.deepEqual(server.log.filter(({ level }) => Number(level) >= 50), [])
})

test('hundreds of requests that are left in every way: descriptors, processes, listeners and files are as before', async (t) => {
  const [root, folder] = [await temporaryFolder(t), await temporaryFolder(t)]
  const served = await makeRepository(root, 'app.git')
  await mkdir(join(folder, 'packs'))
  const work = await makeWorkingCopy(folder, 'work')
  const tip = await commitRandom(work, 'big.bin', 2_000_000)
  await git(['push', '--quiet', '--force', served, 'main'], { cwd: work })
  await git(['repack', '-adq'], { cwd: served })
  const pushed = await commitRandom(work, 'more.bin', 100_000)
  const { bytes: pack } = await tryGit(['pack-objects', '--revs', '--stdout', '-q'], { cwd: work, input: `${pushed}\n^${tip}\n` })
  const server = await startServerProcess({
    root, publicWrite: true, services: { uploadArchive: true }, cache: { packs: { directory: join(folder, 'packs'), maxAge: 500 } }
  })
  t.after(async () => { await server.killAll(root) })
  const packName = (await readdir(join(served, 'objects/pack'))).find((name) => name.endsWith('.pack')) ?? assert.fail('no pack')
  const target: Target = { port: server.port, tip, packName, pack, pushed }
  const abortAll = async (times: number): Promise<void> => {
    await Promise.all(KINDS.map(async (kind, i) => {
      const random = generator(i)
      for (let n = 0; n < times; n++) await abort(target, kind, random)
    }))
  }
  const files = async (): Promise<string[]> => (await Promise.all([served, join(folder, 'packs')].map(async (path) => await readdir(path, { recursive: true })))).flat().sort()
  const settle = async (): Promise<void> => {
    await eventually(async () => (await server.look()).active === 0, 20_000, 'all are over')
    await eventually(async () => (await files()).every((name) => !/incoming|tmp_|\.lock$|\.pack-answer|^[0-9a-f]{64}/.test(name)), 10_000, 'what was kept is forgotten')
    await eventually(async () => (await processesAbout(root)).every((line) => Number.parseInt(line) === server.pid), 10_000, 'the gits end')
  }
  await abortAll(2)
  await settle()
  const [before, open, there] = [await server.look(), await settled(server.descriptors), await files()]
  await abortAll(15)
  await settle()
  assert.equal((await server.look()).listeners, before.listeners)
  await eventually(async () => await server.descriptors() === open, 5_000, 'descriptors are closed')
  assert.equal((await helpersOf(server.pid)).length, 2)
  assert.deepEqual(await files(), there)
  assert.equal(await git(['for-each-ref', '--format=%(refname)'], { cwd: served }), 'refs/heads/main')
  await git(['fsck', '--full'], { cwd: served })
})
