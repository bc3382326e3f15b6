import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Transform, type TransformCallback } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'node:test'
import { errors, type GitHttpHooks } from '../../lib/index.ts'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { largeRepository, servePacks, smallRepository, tipOf } from '../fixtures/pack-scene.ts'
import { endOf, openFetch, postFetch } from '../fixtures/post-fetch.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { servePushes, type PushScene } from '../fixtures/push-scene.ts'
import { OpenPost, postPush, pushBody } from '../fixtures/raw-push.ts'
import { commitRandom } from '../fixtures/repository.ts'

/** Passes on what `look` lets through; `end` is asked at the end. */
function stage (look: (chunk: Buffer, seen: number) => Error | null, end: () => Error | null = () => null): Transform {
  let seen = 0
  return new Transform({
    transform (chunk: Buffer, _encoding, callback: TransformCallback) {
      seen += chunk.length
      callback(look(chunk, seen), chunk)
    },
    flush (callback) { callback(end()) }
  })
}

async function assertNothingOf ({ served, refs }: PushScene): Promise<void> {
  await eventually(async () => (await processesAbout(served)).length === 0, 5_000, 'processes end')
  assert.deepEqual(await refs(), [])
  assert.deepEqual((await readdir(served, { recursive: true })).filter((name) => /tmp_|incoming-|\.(?:lock|pack|idx)$/.test(name)), [])
}

for (const processes of [1, 0]) {
  test(`stages meter a push, unpacked, and its answer (${processes} helpers)`, async (t) => {
    const metered = { in: 0, out: 0 }
    const meter = (way: 'in' | 'out'): Transform => stage((chunk) => {
      metered[way] += chunk.length
      return null
    })
    const scene = await servePushes(t, { spawner: { processes }, hooks: { onPush: (push) => push.message('metered'), transformRequest: () => meter('in'), transformResponse: () => meter('out') } })
    await commitRandom(scene.work, 'big.bin', 3_000_000)
    const id = await git(['rev-parse', 'HEAD'], { cwd: scene.work })
    const { head, pack } = await pushBody(scene.work, id, { commands: [{ ref: 'refs/heads/main' }] })
    const body = Buffer.concat([head, pack])
    const answer = await postPush(scene.port, body, { gzip: true })
    assert.match(answer, /ok refs\/heads\/main/)
    assert.equal(metered.in, body.length)
    const [summary] = await scene.finished(1)
    assert.equal(summary?.bytesOut, metered.out)
    assert.ok((summary?.bytesIn ?? 0) < body.length + 5_000)
    assert.equal((await scene.push([scene.appUrl, 'main:topic'])).code, 0)
  })
}

for (const [when, make] of [
  ['in the middle', (error: Error) => stage((_chunk, seen) => seen > 1_000_000 ? error : null)],
  ['at its end', (error: Error) => stage(() => null, () => error)]
] as const) {
  test(`a push that its stage rejects ${when} is not applied and leaves nothing, an error of this package is the status`, async (t) => {
    let error: Error = new errors.RefusedError('a virus')
    const scene = await servePushes(t, { hooks: { transformRequest: () => make(error) } })
    await commitRandom(scene.work, 'big.bin', 3_000_000)
    const id = await git(['rev-parse', 'HEAD'], { cwd: scene.work })
    const { head, pack } = await pushBody(scene.work, id, { commands: [{ ref: 'refs/heads/main' }], capabilities: 'report-status quiet' })
    for (const [index, gzip] of [false, true].entries()) {
      assert.match(await postPush(scene.port, Buffer.concat([head, pack]), { gzip }), /^HTTP\/1\.1 403 .*\r\n\r\na virus\n$/s)
      // Operations end when nothing is left of them, in any order.
      await scene.finished(index + 1)
    }
    error = new Error('the scanner is down at /run/scanner')
    const failed = await postPush(scene.port, Buffer.concat([head, pack]))
    assert.match(failed, /^HTTP\/1\.1 500 /)
    assert.doesNotMatch(failed, /scanner/)
    await scene.finished(3)
    assert.equal((await scene.push([scene.appUrl, 'main'])).code, 1)
    assert.deepEqual((await scene.finished(3)).slice(0, 3).map(({ outcome, code }) => [outcome, code]), [
      ['refused', 'FST_GIT_REFUSED'], ['refused', 'FST_GIT_REFUSED'], ['failed', 'FST_GIT_INTERNAL']
    ])
    await assertNothingOf(scene)
  })
}

test('bytes behind the pack do not let a push slip past a stage that rejects at its end', async (t) => {
  const scene = await servePushes(t, { hooks: { transformRequest: () => stage(() => null, () => new errors.RefusedError('a virus')) } })
  const { head, pack } = await pushBody(scene.work, scene.id, { commands: [{ ref: 'refs/heads/main' }], capabilities: 'report-status quiet' })
  const post = await OpenPost.open(scene.port, '/app.git', 'receive-pack')
  post.send(Buffer.concat([head, pack]))
  post.send(Buffer.from('x'))
  post.send(Buffer.from('y'))
  // By now git has its pack, and stands at its hook.
  await eventually(async () => (await processesAbout(scene.served)).some((line) => line.includes('pre-receive')), 5_000, 'git is at its hook')
  assert.match(await post.end(), /^HTTP\/1\.1 403 /)
  await assertNothingOf(scene)
})

test('a fetch that its stage rejects at the end of the request is not answered', async (t) => {
  const { appUrl, served } = await servePacks(t, smallRepository, { hooks: { transformRequest: () => stage(() => null, () => new errors.RefusedError('not you')) } })
  const { status, body } = await postFetch(appUrl, fetchV2({ wants: [await tipOf(served)] }))
  assert.deepEqual([status, body.toString()], [403, 'not you\n'])
})

test('a stage that fails in the middle of an answer destroys the connection, and the client fails', async (t) => {
  const { appUrl, served, root } = await servePacks(t, largeRepository(5_000_000), {
    hooks: { transformResponse: () => stage((_chunk, seen) => seen > 1_000_000 ? new Error('enough') : null) }
  })
  const reply = await openFetch(appUrl, fetchV2({ wants: [await tipOf(served)], capabilities: ['ofs-delta'] }))
  assert.equal(await endOf(reply), 'ECONNRESET')
  assert.notEqual((await tryGit(['clone', '--quiet', '--bare', appUrl, join(root, 'copy')])).code, 0)
  await eventually(async () => (await processesAbout(served)).length === 0, 5_000, 'git ends')
})

test('a stage that fails before the first byte of an answer is a status', async (t) => {
  const { appUrl, served } = await servePacks(t, smallRepository, { hooks: { transformResponse: () => stage(() => new errors.RefusedError('not today')) } })
  const { status, body } = await postFetch(appUrl, fetchV2({ wants: [await tipOf(served)] }))
  assert.deepEqual([status, body.toString()], [403, 'not today\n'])
})

test('remembered answers are bypassed where there is a stage, and only there', async (t) => {
  let stages = 0
  const hooks: GitHttpHooks = {
    transformResponse: (_operation, request) => {
      if (request.headers['x-meter'] === undefined) return null
      stages++
      return stage(() => null)
    }
  }
  const { appUrl, served } = await servePacks(t, smallRepository, { hooks })
  const body = fetchV2({ wants: [await tipOf(served)] })
  const plain = []
  for (let i = 0; i < 3; i++) plain.push(await postFetch(appUrl, body))
  assert.deepEqual(plain.map(({ cache }) => cache), ['miss', 'miss', 'hit'])
  const metered = await postFetch(appUrl, body, { headers: { 'x-meter': 'yes' } })
  assert.equal(metered.cache, 'bypass')
  assert.equal(stages, 1)
})

test('a slow stage slows the client down instead of filling the memory', async (t) => {
  let passed = 0
  const slow = (): Transform => new Transform({
    transform (chunk: Buffer, _encoding, callback) {
      passed += chunk.length
      delay(1).then(() => callback(null, chunk))
    }
  })
  const scene = await servePushes(t, { hooks: { transformRequest: slow } })
  await git(['config', 'core.compression', '0'], { cwd: scene.work })
  await git(['config', 'core.bigFileThreshold', '1m'], { cwd: scene.work })
  await commitRandom(scene.work, 'big.bin', 100_000_000)
  const post = await OpenPost.open(scene.port, '/app.git', 'receive-pack')
  const id = await git(['rev-parse', 'HEAD'], { cwd: scene.work })
  const { head, pack } = await pushBody(scene.work, id, { commands: [{ ref: 'refs/heads/main' }] })
  let sent = 0
  let most = 0
  const watch = setInterval(() => { most = Math.max(most, sent - post.socket.writableLength - passed) }, 5)
  const body = Buffer.concat([head, pack])
  for (let at = 0; at < body.length; at += 1_000_000) {
    post.send(body.subarray(at, at + 1_000_000))
    sent += Math.min(1_000_000, body.length - at)
    while (post.socket.writableLength > 2_000_000) await delay(1)
  }
  assert.match(await post.end(), /ok refs\/heads\/main/)
  clearInterval(watch)
  // What is on its way: in two sockets' buffers and a few chunks.
  assert.ok(most < 24_000_000, `${most} bytes waited`)
})
