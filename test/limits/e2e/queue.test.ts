/** Who waits for a git, for how long, and who does not have to. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { test } from 'node:test'
import type { OperationSummary } from '../../../lib/index.ts'
import { fetchV2 } from '../../fixtures/fetch-request.ts'
import { temporaryFolder } from '../../fixtures/folder.ts'
import { git, tryGit } from '../../fixtures/git.ts'
import { postFetch } from '../../fixtures/post-fetch.ts'
import { eventually, processesAbout } from '../../fixtures/processes.ts'
import { getRaw, sendRaw } from '../../fixtures/raw.ts'
import { commitRandom, makeWorkingCopy } from '../../fixtures/repository.ts'
import { errorsIn, limitScene, type LimitScene } from './scene.ts'

test('a flood on one repository leaves slots for the others', async (t) => {
  const scene = await limitScene(t, { limits: { maxConcurrent: 4, maxPerUser: 4 } })
  const flood = await Promise.all(Array.from({ length: 40 }, async () => await scene.ask('held.git')))
  await scene.reached(3)
  await git(['clone', '--quiet', `${scene.url}/app.git`, join(scene.folder, 'clone')])
  assert.equal(await scene.held(), 3)
  for (const socket of flood) socket.destroy()
})

test('where a flood has every slot and waits for more, another repository takes turns with it', async (t) => {
  const scene = await limitScene(t, { limits: { maxConcurrent: 2, maxPerRepository: 2, maxPerUser: 2 } })
  const flood = await Promise.all(Array.from({ length: 20 }, async () => await scene.ask('held.git')))
  await scene.reached(2)
  const other = await scene.ask('app.git')
  await scene.queueHas(19)
  await scene.letGo()
  await scene.letGo()
  assert.match((await buffer(other)).toString('latin1'), /^HTTP\/1\.1 200 [^]*PACK/)
  assert.ok(scene.queued() >= 16, `the flood still waits: ${scene.queued()}`)
  for (const socket of flood) socket.destroy()
})

test('what is remembered needs no slot', async (t) => {
  const packs = join(await temporaryFolder(t), 'packs')
  const scene = await limitScene(t, { limits: { maxConcurrent: 1, maxQueued: 0 }, cache: { packs: { directory: packs, header: true, minOccurrences: 0 } } })
  const fetch = fetchV2({ wants: [scene.tip] })
  const lsRefs = Buffer.from('0014command=ls-refs\n0016object-format=sha100010009peel\n0000', 'latin1')
  const ask = async (): Promise<number[]> => [
    ...await Promise.all([
      getRaw(scene.port, '/app.git/info/refs?service=git-upload-pack'),
      getRaw(scene.port, '/app.git/info/refs?service=git-upload-pack', ['Git-Protocol: version=2']),
      getRaw(scene.port, '/app.git/info/refs?service=git-receive-pack'),
      postFetch(`${scene.url}/app.git`, lsRefs),
      sendRaw(scene.port, 'POST /app.git/git-receive-pack HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n' +
        'Content-Type: application/x-git-receive-pack-request\r\nContent-Length: 4\r\n\r\n0000')
    ].map(async (response) => (await response).status)),
    (await postFetch(`${scene.url}/app.git`, fetch)).status
  ]
  // What was asked while files were still young is not remembered.
  await eventually(async () => {
    const before = await scene.started()
    await ask()
    return await scene.started() === before
  }, 10_000, 'all of it is remembered')
  await scene.occupy()
  assert.deepEqual(await ask(), Array(6).fill(200))
  assert.equal((await postFetch(`${scene.url}/app.git`, fetch)).cache, 'hit')
})

const LEAVING: Array<{ what: string, request: (tip: string) => string | Buffer }> = [
  { what: 'a HEAD of the dumb protocol', request: () => 'GET /app.git/HEAD HTTP/1.1\r\nHost: localhost\r\n\r\n' },
  { what: 'a discovery', request: () => 'GET /app.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: localhost\r\n\r\n' },
  { what: 'the discovery of a push', request: () => 'GET /app.git/info/refs?service=git-receive-pack HTTP/1.1\r\nHost: localhost\r\n\r\n' },
  { what: 'a fetch', request: (tip) => post('upload-pack', fetchV2({ wants: [tip] }), 'Git-Protocol: version=2\r\n') },
  { what: 'a fetch by protocol 0', request: (tip) => post('upload-pack', Buffer.from(`0032want ${tip}\n00000009done\n`)) },
  { what: 'a push', request: (tip) => post('receive-pack', command(tip)) }
]

function post (service: string, body: Buffer, headers = ''): Buffer {
  return Buffer.concat([Buffer.from(`POST /app.git/git-${service} HTTP/1.1\r\nHost: localhost\r\n${headers}` +
    `Content-Type: application/x-git-${service}-request\r\nContent-Length: ${body.length}\r\n\r\n`), body])
}

function command (tip: string): Buffer {
  const line = `${'0'.repeat(40)} ${tip} refs/heads/pushed\0 report-status`
  return Buffer.from(`${(line.length + 4).toString(16).padStart(4, '0')}${line}0000`)
}

for (const remembering of [false, true]) {
  for (const { what, request } of LEAVING) {
    test(`${what} that waits and whose client leaves frees its place and is no error (${remembering ? 'shared' : 'on its own'})`, async (t) => {
      const packs = join(await temporaryFolder(t), 'packs')
      const finished: OperationSummary[] = []
      const scene = await limitScene(t, {
        limits: { maxConcurrent: 1, maxQueued: 1 },
        hooks: { onFinish: (summary) => { finished.push(summary) } },
        cache: remembering ? { packs: { directory: packs } } : { answers: false, packs: false }
      })
      await scene.occupy()
      const waiting = await open(scene, request(scene.tip))
      await scene.queueHas(1)
      waiting.destroy()
      await eventually(async () => scene.app.gitHttp.active === 1, 2_000, 'its operation ends')
      assert.equal(finished.filter(({ outcome }) => outcome === 'client-gone').length, 1)
      const next = await scene.ask('app.git')
      await scene.queueHas(1)
      await scene.open()
      assert.match((await buffer(next)).toString('latin1'), /^HTTP\/1\.1 200 [^]*PACK/)
      assert.deepEqual(errorsIn(scene), [])
      assert.doesNotMatch(await git(['for-each-ref'], { cwd: join(scene.root, 'app.git') }), /pushed/)
    })
  }
}

test('closing the server refuses those who wait and ends those who do not', async (t) => {
  const scene = await limitScene(t, { limits: { maxConcurrent: 1, maxQueued: 5 } })
  const [running] = await scene.occupy()
  const waiting = await Promise.all(LEAVING.slice(0, 5).map(async ({ request }) => await open(scene, request(scene.tip))))
  await scene.queueHas(5)
  const answers = Promise.all([running as Socket, ...waiting].map(async (socket) => await text(socket)))
  await scene.app.close()
  for (const answer of await answers) assert.match(answer, /^HTTP\/1\.1 503 [^]*shutting down/)
  assert.deepEqual(await processesAbout(scene.root), [])
  assert.equal(scene.app.gitHttp.active, 0)
})

test('who waits while the server closes is still served when its turn comes in time', async (t) => {
  const scene = await limitScene(t, { limits: { maxConcurrent: 1, closeGrace: 20_000 } })
  const sockets = await scene.occupy()
  sockets.push(await scene.ask('app.git'))
  await scene.queueHas(1)
  const answers = Promise.all(sockets.map(async (socket) => await buffer(socket)))
  const closed = scene.app.close()
  await scene.letGo()
  for (const answer of await answers) assert.match(answer.toString('latin1'), /^HTTP\/1\.1 200 [^]*PACK/)
  await closed
})

test('gits that hooks start wait for no slot: pushes do not wait for each other', async (t) => {
  const seen: string[] = []
  const scene = await limitScene(t, {
    limits: { maxConcurrent: 1 },
    hooks: {
      preReceive: async ({ git, commands: [command] }) => {
        const run = await git(['cat-file', '-t', command?.new ?? ''])
        seen.push((await text(run.stdout)).trim())
      }
    }
  })
  const works = await Promise.all(['a', 'b', 'c'].map(async (name) => {
    const work = await makeWorkingCopy(scene.folder, name)
    await commitRandom(work, name, 1000)
    return { work, name }
  }))
  const pushed = await Promise.all(works.map(async ({ work, name }) => await tryGit(['push', `${scene.url}/app.git`, `main:refs/heads/${name}`], { cwd: work })))
  assert.deepEqual(errorsIn(scene), [])
  for (const { code, stderr } of pushed) assert.equal(code, 0, stderr)
  assert.deepEqual(seen, ['commit', 'commit', 'commit'])
})

async function open ({ port }: LimitScene, request: string | Buffer): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(request)
  return socket
}
