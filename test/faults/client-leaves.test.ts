import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { eventually, processesAbout, zombies } from '../fixtures/processes.ts'
import { commitRandom, makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'
import { gitShim, writeScript } from '../fixtures/shims.ts'

/** What FACTS allow: everything of the request is gone within two seconds. */
const LIMIT = 2_000

interface Push { served: string, socket: Socket, command: Buffer, pack: Buffer, active: () => number }

/** A raw push whose body the test sends as far as it likes. */
async function openPush (t: TestContext, hooks: Record<string, string> = {}): Promise<Push> {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git', { commits: 0 })
  for (const [name, body] of Object.entries(hooks)) await writeScript(join(served, 'hooks'), name, body.replaceAll('FOLDER', root))
  const work = await makeWorkingCopy(root, 'work')
  const id = await commitRandom(work, 'big.bin', 2 * 1024 * 1024)
  const { bytes: pack } = await tryGit(['pack-objects', '--revs', '--stdout', '-q'], { cwd: work, input: `${id}\n` })
  const line = `${'0'.repeat(40)} ${id} refs/heads/main\0report-status side-band-64k`
  const command = Buffer.from((line.length + 4).toString(16).padStart(4, '0') + line + '0000')
  const { port, app } = await startServer(t, { root, publicWrite: true })
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('POST /app.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\n' +
    `Content-Type: application/x-git-receive-pack-request\r\nContent-Length: ${command.length + pack.length}\r\n\r\n`)
  return { served, socket, command, pack, active: () => app.gitHttp.active }
}

async function assertNothingLeft ({ served, active }: Pick<Push, 'served' | 'active'>): Promise<void> {
  await eventually(async () => (await processesAbout(served)).length === 0, LIMIT, 'processes end')
  await eventually(async () => active() === 0, LIMIT, 'the operation ends')
  assert.deepEqual(await zombies(), [])
  const files = await readdir(served, { recursive: true })
  assert.deepEqual(files.filter((name) => /tmp_objdir|incoming-|\.lock$|tmp_pack/.test(name)), [])
}

test('the client leaves within its commands: no git was started', async (t) => {
  const push = await openPush(t)
  push.socket.write(push.command.subarray(0, 30))
  await eventually(async () => push.active() === 1, LIMIT, 'the operation begins')
  assert.deepEqual(await processesAbout(push.served), [])
  push.socket.destroy()
  await assertNothingLeft(push)
})

test('the client leaves before the pack', async (t) => {
  const push = await openPush(t)
  push.socket.write(push.command)
  await eventually(async () => (await processesAbout(push.served)).length > 0, LIMIT, 'git starts')
  push.socket.destroy()
  await assertNothingLeft(push)
  assert.equal(await git(['for-each-ref'], { cwd: push.served }), '')
})

test('the client leaves in the middle of the pack', async (t) => {
  const push = await openPush(t)
  push.socket.write(push.command)
  push.socket.write(push.pack.subarray(0, 1_500_000))
  await eventually(async () => (await readdir(join(push.served, 'objects'))).some((name) => name.includes('incoming')), LIMIT, 'the quarantine appears')
  push.socket.destroy()
  await assertNothingLeft(push)
  assert.equal(await git(['for-each-ref'], { cwd: push.served }), '')
})

test('the client resets the connection in the middle of the pack', async (t) => {
  const push = await openPush(t)
  push.socket.write(push.command)
  push.socket.write(push.pack.subarray(0, 1_500_000))
  await eventually(async () => (await readdir(join(push.served, 'objects'))).some((name) => name.includes('incoming')), LIMIT, 'the quarantine appears')
  push.socket.resetAndDestroy()
  await assertNothingLeft(push)
  assert.equal(await git(['for-each-ref'], { cwd: push.served }), '')
})

test('the client leaves while a hook hangs that ignores SIGTERM: killed, quarantine removed', async (t) => {
  const push = await openPush(t, { 'pre-receive': 'trap "" TERM\ntouch FOLDER/reached\nwhile :; do sleep 1; done' })
  push.socket.write(push.command)
  push.socket.write(push.pack)
  await eventually(async () => (await readdir(join(push.served, '..'))).includes('reached'), 10_000, 'the hook runs')
  push.socket.destroy()
  await assertNothingLeft(push)
  assert.equal(await git(['for-each-ref'], { cwd: push.served }), '')
})

test('the client leaves after its last byte: the push is applied or not, never half', async (t) => {
  const push = await openPush(t)
  push.socket.write(push.command)
  await new Promise((resolve) => push.socket.write(push.pack, resolve))
  push.socket.destroy()
  await assertNothingLeft(push)
  await git(['fsck', '--connectivity-only'], { cwd: push.served })
})

test('the client leaves while git counts, and git does not listen to SIGTERM', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git')
  const path = await gitShim(root, 'upload-pack', `trap "" TERM; touch ${root}/counting; while :; do sleep 1; done`)
  const { port, app } = await startServer(t, { root, git: { path } })
  const socket = connect(port, '127.0.0.1')
  socket.write('GET /app.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await eventually(async () => (await readdir(root)).includes('counting'), LIMIT, 'git runs')
  socket.destroy()
  await assertNothingLeft({ served, active: () => app.gitHttp.active })
})

test('fifty clients leave in the middle of a clone', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git', { commits: 0 })
  const work = await makeWorkingCopy(root, 'work')
  const id = await commitRandom(work, 'big.bin', 8 * 1024 * 1024)
  await git(['push', '--quiet', served, 'main'], { cwd: work })
  const { port, app } = await startServer(t, { root })
  const body = `0011command=fetch0001000fno-progress0032want ${id}\n0009done\n0000`
  const request = 'POST /app.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\nGit-Protocol: version=2\r\n' +
    `Content-Type: application/x-git-upload-pack-request\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  await Promise.all(Array.from({ length: 50 }, async () => {
    const socket = connect(port, '127.0.0.1')
    socket.write(request)
    const [first] = await once(socket, 'data') as [Buffer]
    assert.match(first.toString('latin1'), /200 OK/)
    socket.destroy()
  }))
  await assertNothingLeft({ served, active: () => app.gitHttp.active })
})
