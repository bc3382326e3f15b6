import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { commitRandom, makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'
import { gitShim } from '../fixtures/shims.ts'

test('close refuses new work, lets a transfer finish, and then closes', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git', { commits: 0 })
  const work = await makeWorkingCopy(root, 'work')
  const id = await commitRandom(work, 'big.bin', 16 * 1024 * 1024)
  await git(['push', '--quiet', served, 'main'], { cwd: work })
  const { port, app } = await startServer(t, { root })

  const body = `0011command=fetch0001000fno-progress0032want ${id}\n0009done\n0000`
  const socket = connect(port, '127.0.0.1')
  socket.write('POST /app.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nGit-Protocol: version=2\r\n' +
    `Content-Type: application/x-git-upload-pack-request\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  await once(socket, 'readable')
  const idle = connect(port, '127.0.0.1')
  idle.write('GET /app.git/HEAD HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await once(idle, 'data')

  const idleEnded = once(idle.resume(), 'close')
  const closed = app.close()
  await idleEnded
  const [refused] = await once(connect(port, '127.0.0.1'), 'error') as [NodeJS.ErrnoException]
  assert.equal(refused.code, 'ECONNREFUSED')
  const answer = await buffer(socket)
  assert.ok(answer.length > 16 * 1024 * 1024, `${answer.length} bytes`)
  assert.ok(answer.subarray(-32).toString('latin1').endsWith('0000\r\n0\r\n\r\n'), 'complete')
  await closed
  assert.deepEqual(await processesAbout(served), [])
})

test('a transfer that outlasts the grace period is ended, and nothing of it is left', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git')
  const path = await gitShim(root, 'upload-pack', `touch ${root}/running; while :; do sleep 1; done`)
  const { port, app } = await startServer(t, { root, git: { path }, limits: { closeGrace: 100 } })
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('GET /app.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await eventually(async () => (await readdir(root)).includes('running'), 5_000, 'git runs')
  const ended = once(socket, 'close')
  socket.resume()
  await app.close()
  await ended
  assert.deepEqual(await processesAbout(served), [])
})

test('the grace period may be longer than Fastify\'s pluginTimeout, and ends a client that is silent in the middle of its body', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git')
  const { port, app } = await startServer(t, { root, publicWrite: true, limits: { closeGrace: 1_500 }, spawner: { processes: 0 } }, { fastify: { pluginTimeout: 500 } })
  const socket = connect(port, '127.0.0.1')
  socket.write('POST /app.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\n' +
    'Content-Type: application/x-git-receive-pack-request\r\nTransfer-Encoding: chunked\r\n\r\n')
  const line = `${'0'.repeat(40)} ${'1'.repeat(40)} refs/heads/main\0report-status`
  const head = `${(line.length + 4).toString(16).padStart(4, '0')}${line}0000`
  socket.write(`${head.length.toString(16)}\r\n${head}\r\n`)
  await eventually(async () => (await processesAbout(served)).length > 0, 5_000, 'git runs')
  const [answer] = await Promise.all([buffer(socket), app.close()])
  assert.match(answer.toString(), /^HTTP\/1\.1 503 [^]*shutting down/)
  assert.deepEqual(await processesAbout(served), [])
})

test('a push whose commands have not all come is ended after the grace period as well', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const { port, app } = await startServer(t, { root, publicWrite: true, limits: { closeGrace: 300 }, spawner: { processes: 0 } })
  const socket = connect(port, '127.0.0.1')
  socket.write('POST /app.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\n' +
    'Content-Type: application/x-git-receive-pack-request\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n00aa\r\n')
  await eventually(async () => app.gitHttp.active === 1, 5_000, 'the operation begins')
  const [answer] = await Promise.all([buffer(socket), app.close()])
  assert.match(answer.toString(), /^HTTP\/1\.1 503 [^]*shutting down/)
})

test('drain refuses new operations with 503 and Retry-After', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const { app, url } = await startServer(t, { root })
  await app.gitHttp.drain()
  const response = await fetch(`${url}/app.git/HEAD`)
  assert.equal(response.status, 503)
  assert.match(response.headers.get('retry-after') ?? '', /^\d+$/)
})
