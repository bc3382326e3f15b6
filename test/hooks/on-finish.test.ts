import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { GitHttpOptions, OperationSummary } from '../../lib/index.ts'
import { encodePacket } from '../../lib/protocol/pkt-line.ts'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { gatedGit } from '../fixtures/gated-git.ts'
import { git } from '../fixtures/git.ts'
import { largeRepository, servePacks, smallRepository, tipOf, type PackScene } from '../fixtures/pack-scene.ts'
import { endOf, openFetch, postFetch, readSome } from '../fixtures/post-fetch.ts'
import { eventually } from '../fixtures/processes.ts'
import { servePushes } from '../fixtures/push-scene.ts'
import { OpenPost, pushBody } from '../fixtures/raw-push.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { gitShim } from '../fixtures/shims.ts'

interface Scene extends PackScene {
  /** All summaries, once there are exactly so many and no operation is left. */
  told (count: number): Promise<OperationSummary[]>
}

async function serve (t: TestContext, make: (root: string) => Promise<string>, options: Omit<GitHttpOptions, 'cache' | 'hooks'> = {}): Promise<Scene> {
  const summaries: OperationSummary[] = []
  const scene: PackScene = await servePacks(t, make, { ...options, hooks: { onFinish: (summary) => { summaries.push(summary) } } })
  const told = async (count: number): Promise<OperationSummary[]> => {
    await eventually(async () => summaries.length >= count && scene.app.gitHttp.active === 0, 10_000, `${count} operations have ended, not ${summaries.length}`)
    assert.equal(summaries.length, count)
    return summaries
  }
  return { ...scene, told }
}

test('every request is told of once, with how it ended and how much went which way', async (t) => {
  const { appUrl, url, served, told } = await serve(t, smallRepository, { publicRead: true })
  const copy = join(await temporaryFolder(t), 'copy')
  await git(['-c', 'protocol.version=2', 'clone', '--quiet', '--bare', appUrl, copy])
  const body = fetchV2({ wants: [await tipOf(served)] })
  const reply = await postFetch(appUrl, body)
  const found = await fetch(`${appUrl}/HEAD`)
  await found.text()
  await (await fetch(`${url}/none.git/info/refs?service=git-upload-pack`)).text()
  await (await fetch(`${appUrl}/info/refs?service=git-receive-pack`)).text()
  await (await fetch(`${appUrl}/git-upload-pack`, { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } })).text()

  const [advertised, listed, cloned, fetched, file, missing, forbidden, wrong] = await told(8) as [OperationSummary, OperationSummary, OperationSummary, OperationSummary, OperationSummary, OperationSummary, OperationSummary, OperationSummary]
  assert.deepEqual([advertised.operation?.phase, advertised.outcome, advertised.status, advertised.bytesIn], ['advertise', 'completed', 200, 0])
  assert.deepEqual([listed.outcome, listed.cache, listed.exitCode], ['completed', null, null])
  assert.deepEqual([cloned.outcome, cloned.cache], ['completed', 'miss'])
  assert.deepEqual([fetched.outcome, fetched.bytesIn, fetched.bytesOut, fetched.status], ['completed', body.length, reply.body.length, 200])
  assert.deepEqual([file.operation?.service, file.outcome, file.bytesOut], ['dumb', 'completed', 'ref: refs/heads/main\n'.length])
  assert.deepEqual([missing.operation?.repository, missing.outcome, missing.status, missing.code, missing.durations.admitted], ['none.git', 'refused', 404, 'FST_GIT_REPOSITORY_NOT_FOUND', null])
  assert.deepEqual([forbidden.operation?.access, forbidden.outcome, forbidden.status], ['write', 'refused', 403])
  assert.deepEqual([wrong.operation, wrong.outcome, wrong.status, wrong.code], [null, 'refused', 415, 'FST_GIT_UNSUPPORTED_MEDIA_TYPE'])
  for (const { durations: { total, admitted, answered }, id } of [advertised, listed, cloned, fetched, file]) {
    assert.match(id, /^req-/)
    assert.ok(admitted !== null && answered !== null && admitted > 0 && admitted <= answered && answered <= total, `${admitted} ${answered} ${total}`)
  }
})

test('401 and a wrong password are refusals, and an answer to HEAD has no bytes', async (t) => {
  const { appUrl, told } = await serve(t, smallRepository, { publicRead: false, authenticate: ({ username, password }) => password === 'secret' ? username : null })
  const ask = async (authorization?: string, method = 'GET'): Promise<void> => {
    await (await fetch(`${appUrl}/info/refs?service=git-upload-pack`, { method, headers: authorization === undefined ? {} : { authorization } })).text()
  }
  await ask()
  await ask(`Basic ${btoa('ann:wrong')}`)
  await ask(`Basic ${btoa('ann:secret')}`, 'HEAD')
  const summaries = await told(3)
  assert.deepEqual(summaries.map(({ outcome, status, code }) => [outcome, status, code]), [
    ['refused', 401, 'FST_GIT_AUTHENTICATION_REQUIRED'], ['refused', 401, 'FST_GIT_BAD_CREDENTIALS'], ['completed', 200, null]
  ])
  assert.deepEqual([summaries[2]?.bytesOut, summaries[2]?.operation?.user], [0, 'ann'])
})

test('a client that leaves is told of once, in whatever phase it leaves', async (t) => {
  const { appUrl, served, told, port } = await serve(t, largeRepository(20_000_000))
  const body = fetchV2({ wants: [await tipOf(served)], capabilities: ['no-progress'] })
  // Before its request is complete.
  const half = await OpenPost.open(port, '/app.git', 'upload-pack', ['Git-Protocol: version=2'])
  half.send(body.subarray(0, 50))
  await eventually(async () => served !== '' && (await fetch(`${appUrl}/HEAD`)).ok, 1_000, 'the server has read it')
  half.leave()
  // In the middle of its answer.
  const reply = await openFetch(appUrl, body)
  const taken = await readSome(reply, 1_000_000)
  reply.destroy()
  const gone = (await told(3)).filter(({ operation }) => operation?.phase === 'exchange')
  assert.deepEqual(gone.map(({ outcome, status }) => [outcome, status]), [['client-gone', 0], ['client-gone', 200]])
  assert.ok((gone[1]?.bytesOut ?? 0) >= taken)
})

test('a git that is killed, or fails before its first byte, is git-failed', async (t) => {
  const folder = await temporaryFolder(t)
  const gate = await gatedGit(folder, 1_000)
  const { appUrl, served, told } = await serve(t, smallRepository, { git: { path: gate.path } })
  const asked = openFetch(appUrl, fetchV2({ wants: [await tipOf(served)] }))
  await gate.reached(1)
  await gate.kill()
  const response = await asked.catch(() => null)
  if (response !== null) assert.equal(await endOf(response), 'ECONNRESET')
  const [summary] = await told(1)
  assert.deepEqual([summary?.outcome, summary?.code], ['git-failed', 'FST_GIT_FAILED'])

  const failing = await serve(t, smallRepository, { git: { path: await gitShim(folder, 'receive-pack', 'exit 3') }, publicWrite: true })
  const { status } = await fetch(`${failing.appUrl}/git-receive-pack`, { method: 'POST', body: `${encodePacket(`${'0'.repeat(40)} ${'1'.repeat(40)} refs/heads/a\0 quiet`).toString()}0000`, headers: { 'content-type': 'application/x-git-receive-pack-request' } })
  const [failed] = await failing.told(1)
  assert.deepEqual([status, failed?.outcome, failed?.exitCode, failed?.durations.answered === null], [500, 'git-failed', 3, false])
})

test('a transfer that stands still is a timeout, for an answer that comes from the cache as well', async (t) => {
  const { appUrl, served, told, port } = await serve(t, largeRepository(30_000_000), { limits: { idleTimeout: 1_000 } })
  const half = await OpenPost.open(port, '/app.git', 'upload-pack', ['Git-Protocol: version=2'])
  half.send(Buffer.from('0011command=fetch'))
  assert.match(await half.closed(), /^HTTP\/1\.1 408 /)
  const reply = await openFetch(appUrl, fetchV2({ wants: [await tipOf(served)], capabilities: ['no-progress'] }))
  reply.on('error', () => {})
  await readSome(reply, 1_000).catch(() => {})
  assert.deepEqual((await told(2)).map(({ outcome, status }) => [outcome, status]), [['timeout', 408], ['timeout', 200]])
})

test('a request while the server closes is unavailable, and told of', async (t) => {
  const { appUrl, told, app } = await serve(t, smallRepository)
  await app.gitHttp.drain()
  assert.equal((await fetch(`${appUrl}/HEAD`)).status, 503)
  assert.deepEqual((await told(1)).map(({ outcome, status, code }) => [outcome, status, code]), [['unavailable', 503, 'FST_GIT_CLOSING']])
})

test('a push that git refuses moved nothing and is a refusal; an onFinish that fails only logs', async (t) => {
  const scene = await servePushes(t, { hooks: { onFinish: () => { throw new Error('audit down') } } })
  await git(['config', 'receive.denyCreates', 'true'], { cwd: scene.served })
  await git(['config', 'receive.denyDeletes', 'true'], { cwd: scene.served })
  assert.equal((await scene.push([scene.appUrl, 'main'])).code, 0)
  assert.match((await scene.push([scene.appUrl, ':main'])).stderr, /deletion prohibited/)
  const summaries = await scene.finished(2)
  assert.deepEqual(summaries.map(({ outcome, refs }) => [outcome, refs.length]), [['completed', 1], ['refused', 0]])
  assert.ok(scene.log.some(({ msg, hook, err }) => msg === 'a hook failed' && hook === 'onFinish' && (err as Error).message === 'audit down'))
})

test('a push whose client leaves before its pack is complete moved nothing', async (t) => {
  const scene = await servePushes(t)
  const { head, pack } = await pushBody(scene.work, scene.id, { commands: [{ ref: 'refs/heads/main' }] })
  const post = await OpenPost.open(scene.port, '/app.git', 'receive-pack')
  post.send(Buffer.concat([head, pack.subarray(0, -10)]))
  await eventually(async () => scene.app.gitHttp.active === 1, 5_000, 'it is in flight')
  post.leave()
  const [summary] = await scene.finished(1)
  assert.deepEqual([summary?.outcome, summary?.refs], ['client-gone', []])
})
