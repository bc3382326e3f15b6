/** Clients that stand still, against a server in a process of its own whose memory and descriptors are counted. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { largeRepository, tipOf } from '../fixtures/pack-scene.ts'
import { startServerProcess } from '../fixtures/server-process.ts'
import { settled } from '../fixtures/settled.ts'

const MB = 1024 * 1024
const CLIENTS = 50

for (const shared of [false, true]) {
  test(`fifty readers that stop in a large clone cost a few MiB each and are gone after the idle timeout (${shared ? 'one pack for all' : 'a git for each'})`, async (t) => {
    const root = await temporaryFolder(t)
    const served = await largeRepository(64 * MB)(root)
    const body = fetchV2({ wants: [await tipOf(served)] })
    const server = await startServerProcess({
      root,
      cache: { packs: shared && { directory: join(await temporaryFolder(t), 'packs') } },
      limits: { idleTimeout: 1_500, maxConcurrent: CLIENTS, maxPerRepository: CLIENTS, maxPerUser: CLIENTS }
    })
    t.after(async () => { await server.killAll(root) })
    await git(['ls-remote', `${server.url}/app.git`])
    const descriptors = await settled(server.descriptors)
    const { rss } = await server.look()
    await server.resetPeak()
    const sockets = await Promise.all(Array.from({ length: CLIENTS }, async () => await stoppedReader(server.port, body)))
    await eventually(async () => (await server.look()).active === 0, 60_000, 'all of them are ended')
    assert.deepEqual(await processesAbout(served), [])
    assert.equal(await server.descriptors(), descriptors)
    const each = (await server.peak() - rss) / CLIENTS / MB
    assert.ok(each < 4, `${each} MiB each`)
    assert.deepEqual(server.log.filter(({ level }) => Number(level) >= 50), [])
    for (const socket of sockets) socket.destroy()
    await git(['ls-remote', `${server.url}/app.git`])
  })
}

async function stoppedReader (port: number, body: Buffer): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('POST /app.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\nGit-Protocol: version=2\r\n' +
    `Content-Type: application/x-git-upload-pack-request\r\nContent-Length: ${body.length}\r\n\r\n`)
  socket.write(body)
  await once(socket, 'readable')
  return socket
}

test('fifty writers that stop in a push are gone after the idle timeout, each with what it sent', async (t) => {
  const root = await temporaryFolder(t)
  const served = await largeRepository(MB)(root)
  const server = await startServerProcess({
    root, publicWrite: true, limits: { idleTimeout: 1_500, maxConcurrent: CLIENTS, maxPerRepository: CLIENTS, maxPerUser: CLIENTS }
  })
  t.after(async () => { await server.killAll(root) })
  await git(['ls-remote', `${server.url}/app.git`])
  const descriptors = await settled(server.descriptors)
  const line = `${'0'.repeat(40)} ${await tipOf(served)} refs/heads/x\0 report-status`
  const sockets = Array.from({ length: CLIENTS }, () => {
    const socket = connect(server.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write('POST /app.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-git-receive-pack-request\r\n' +
      `Content-Length: 9000000\r\n\r\n${(line.length + 4).toString(16).padStart(4, '0')}${line}0000PACK`)
    return socket
  })
  await eventually(async () => (await server.look()).active === CLIENTS, 20_000, 'all are there')
  await eventually(async () => (await server.look()).active === 0, 30_000, 'all of them are ended')
  assert.deepEqual(await processesAbout(served), [])
  for (const socket of sockets) socket.destroy()
  await eventually(async () => await server.descriptors() === descriptors, 5_000, 'their descriptors are closed')
  assert.doesNotMatch(await git(['for-each-ref'], { cwd: served }), /heads\/x/)
})
