import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, readdir } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import Fastify from 'fastify'
import gitHttp from '../../lib/index.ts'
import { startCommand } from '../fixtures/command.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { helpersOf, isRunning } from '../fixtures/helpers.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { getRaw } from '../fixtures/raw.ts'
import { commitRandom, makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServer, type TestServer } from '../fixtures/server.ts'
import { gitShim } from '../fixtures/shims.ts'

const LIMIT = 2_000
const ONE_HELPER = { spawner: { processes: 1 } }

async function killHelper ({ log }: TestServer): Promise<void> {
  const [pid, ...others] = await helpersOf(process.pid)
  assert.ok(pid !== undefined && others.length === 0)
  process.kill(pid, 'SIGKILL')
  await eventually(async () => log.some(({ msg }) => /helper process .* ended/.test(String(msg))), LIMIT, 'a log line')
  assert.doesNotMatch(JSON.stringify(log), /git ended with an error/)
}

async function assertServes ({ url, app }: TestServer, root: string): Promise<void> {
  await eventually(async () => (await processesAbout(join(root, 'app.git'))).length === 0 && app.gitHttp.active === 0, LIMIT, 'everything ends')
  await git(['clone', '--quiet', `${url}/app.git`, join(root, 'clone')])
}

/** Sends the commands and half of the pack of a push. */
async function startPush (root: string, served: string, port: number): Promise<Socket> {
  const work = await makeWorkingCopy(root, 'work')
  const id = await commitRandom(work, 'big.bin', 2 * 1024 * 1024)
  const { bytes: pack } = await tryGit(['pack-objects', '--revs', '--stdout', '-q'], { cwd: work, input: `${id}\n` })
  const line = `${'0'.repeat(40)} ${id} refs/heads/pushed\0report-status side-band-64k`
  const command = (line.length + 4).toString(16).padStart(4, '0') + line + '0000'
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('POST /app.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\n' +
    `Content-Type: application/x-git-receive-pack-request\r\nContent-Length: ${command.length + pack.length}\r\n\r\n${command}`)
  socket.write(pack.subarray(0, 1_500_000))
  await eventually(async () => (await leftovers(served)).length > 0, 10_000, 'the quarantine appears')
  return socket
}

async function leftovers (served: string): Promise<string[]> {
  return (await readdir(served, { recursive: true })).filter((name) => /tmp_objdir|incoming-|\.lock$|tmp_pack/.test(name))
}

test('a helper that dies before the first byte is a 503 with Retry-After, and its successor serves', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const path = await gitShim(root, 'receive-pack', `touch ${root}/running; while :; do sleep 1; done`)
  const server = await startServer(t, { root, publicWrite: true, git: { path }, ...ONE_HELPER })
  const response = getRaw(server.port, '/app.git/info/refs?service=git-receive-pack')
  await eventually(async () => (await readdir(root)).includes('running'), 5_000, 'git runs')
  await killHelper(server)
  const { status, headers } = await response
  assert.equal(status, 503)
  assert.match(headers['retry-after'] ?? '', /^\d+$/)
  await assertServes(server, root)
})

test('a helper that dies after the first byte leaves no answer that looks complete', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const path = await gitShim(root, 'receive-pack', "printf '0008NAK\\n'; while :; do sleep 1; done")
  const server = await startServer(t, { root, publicWrite: true, git: { path }, ...ONE_HELPER })
  const socket = connect(server.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('POST /app.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-git-receive-pack-request\r\nContent-Length: 8\r\n\r\n00000000')
  const [first] = await once(socket, 'data') as [Buffer]
  assert.match(first.toString(), /200 OK[^]*NAK/)
  const rest = buffer(socket).catch(() => Buffer.alloc(0))
  await killHelper(server)
  assert.doesNotMatch((await rest).toString(), /0\r\n\r\n$/)
  await assertServes(server, root)
})

test('a helper that dies during a push: 503, no ref, nothing left behind', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git')
  const server = await startServer(t, { root, publicWrite: true, ...ONE_HELPER })
  const socket = await startPush(root, served, server.port)
  const answer = once(socket, 'data')
  await killHelper(server)
  assert.match(String((await answer)[0]), /^HTTP\/1\.1 503 /)
  socket.destroy()
  await assertServes(server, root)
  assert.deepEqual(await leftovers(served), [])
  assert.doesNotMatch(await git(['for-each-ref'], { cwd: served }), /pushed/)
})

test('a server that is killed takes its helpers, its gits and its temporary folders along', async (t) => {
  const root = await temporaryFolder(t)
  const temporary = join(root, 'tmp')
  await mkdir(temporary)
  const served = await makeRepository(root, 'app.git', { commits: 0 })
  const other = await makeWorkingCopy(root, 'other')
  const id = await commitRandom(other, 'big.bin', 16 * 1024 * 1024)
  await git(['push', '--quiet', served, 'main'], { cwd: other })
  const { child, port } = await startCommand(t, ['--root', root, '--allow-push'], { env: { TMPDIR: temporary } })
  const body = `0011command=fetch0001000fno-progress0032want ${id}\n0009done\n0000`
  const clone = connect(port, '127.0.0.1')
  clone.on('error', () => {})
  clone.write('POST /app.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\nGit-Protocol: version=2\r\n' +
    `Content-Type: application/x-git-upload-pack-request\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  await once(clone, 'readable')
  const push = await startPush(root, served, port)
  const helpers = await helpersOf(child.pid ?? 0)
  assert.equal(helpers.length, 2)
  assert.equal((await readdir(temporary)).filter((name) => name.includes('spawner')).length, 2)

  child.kill('SIGKILL')
  const gone = async (pid: number): Promise<boolean> => !await isRunning(pid)
  await eventually(async () => (await processesAbout(served)).length === 0 && (await Promise.all(helpers.map(gone))).every(Boolean), LIMIT, 'all processes end')
  assert.deepEqual((await readdir(temporary)).filter((name) => name.includes('spawner')), [])
  assert.doesNotMatch(await git(['for-each-ref'], { cwd: served }), /pushed/)
  clone.destroy()
  push.destroy()
})

test('without helpers git is started directly', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const server = await startServer(t, { root, spawner: { processes: 0 } })
  assert.deepEqual(await helpersOf(process.pid), [])
  await assertServes(server, root)
})

async function assertNoHelpers (t: TestContext): Promise<void> {
  assert.deepEqual(await helpersOf(process.pid), [], t.name)
}

test('an application that never listened leaves no helper', async (t) => {
  const app = Fastify()
  await app.register(gitHttp, { root: '/srv', ...ONE_HELPER })
  assert.equal((await helpersOf(process.pid)).length, 1)
  await app.close()
  await assertNoHelpers(t)
})

test('a registration that fails leaves no helper', async (t) => {
  const app = Fastify()
  app.addHook('onRoute', () => { throw new Error('no routes here') })
  await assert.rejects(async () => await app.register(gitHttp, { root: '/srv', ...ONE_HELPER }), /no routes here/)
  await assertNoHelpers(t)
})

test('a plugin that fails after this one leaves no helper once the application is closed', async (t) => {
  const app = Fastify()
  await app.register(gitHttp, { root: '/srv', ...ONE_HELPER })
  app.register(async () => { throw new Error('not today') })
  await assert.rejects(async () => await app.ready(), /not today/)
  await app.close()
  await assertNoHelpers(t)
})
