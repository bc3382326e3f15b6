import assert from 'node:assert/strict'
import { test } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { gatedGit } from '../fixtures/gated-git.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { servePacks, smallRepository, tipOf } from '../fixtures/pack-scene.ts'
import { endOf, openFetch, postFetch } from '../fixtures/post-fetch.ts'
import { eventually } from '../fixtures/processes.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'
import Fastify from 'fastify'
import gitHttp from '../../lib/index.ts'

test('a fetch is seen from its first moment to its end, and then in the sums', async (t) => {
  const gate = await gatedGit(await temporaryFolder(t), 100)
  const scene = await servePacks(t, smallRepository, { git: { path: gate.path } })
  const status = scene.app.gitHttp.status()
  const body = fetchV2({ wants: [await tipOf(scene.served)] })
  assert.deepEqual(status.snapshot().operations, [])
  const [one, two] = [await openFetch(scene.appUrl, body), await openFetch(scene.appUrl, body)]
  await gate.reached(1)
  await eventually(async () => status.snapshot().operations.every(({ phase, bytesOut }) => phase === 'sending' && bytesOut >= 100), 5_000, 'both are sent something')
  const { operations, git: gits } = status.snapshot()
  assert.deepEqual(gits, { running: 1, queued: 0 })
  assert.deepEqual(operations.map(({ cache }) => cache).sort(), ['miss', 'shared'])
  for (const { id, repository, service, user, startedAt, bytesIn } of operations) {
    assert.match(id, /^req-/)
    assert.deepEqual([repository, service, user, bytesIn], ['app.git', 'upload-pack', null, body.length])
    assert.ok(Math.abs(Date.now() - startedAt) < 60_000)
  }
  const before = status.snapshot().totals
  await gate.open()
  assert.deepEqual([await endOf(one), await endOf(two)], ['whole', 'whole'])
  await eventually(async () => status.snapshot().operations.length === 0, 5_000, 'both are over')
  const after = status.snapshot()
  assert.equal(after.totals.operations, before.operations + 2)
  assert.equal(after.totals.failed, 0)
  assert.ok(after.totals.bytesOut > before.bytesOut && after.totals.bytesIn >= before.bytesIn)
  assert.deepEqual(after.caches.find(({ name }) => name === 'Packs being made'), { name: 'Packs being made', hits: 1, misses: 1, bytes: 0, maxBytes: null })
})

test('packs that are kept are seen with their bytes, refs as well', async (t) => {
  const { app, served, appUrl } = await servePacks(t, smallRepository)
  await git(['ls-remote', appUrl])
  for (let i = 0; i < 3; i++) await postFetch(appUrl, fetchV2({ wants: [await tipOf(served)] }))
  const [refs, memory] = app.gitHttp.status('').snapshot().caches
  assert.ok(refs !== undefined && refs.bytes > 0 && refs.maxBytes === 64 * 1024 * 1024 && refs.misses > 0)
  assert.ok(memory !== undefined && memory.bytes > 0 && memory.hits === 1 && memory.misses === 2)
})

test('what the server fails at is counted as failed, what a client does wrong is not', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const { app, url } = await startServer(t, { root })
  assert.notEqual((await tryGit(['ls-remote', `${url}/none.git`])).code, 0)
  const { totals } = app.gitHttp.status().snapshot()
  assert.deepEqual([totals.operations > 0, totals.failed], [true, 0])
})

test('each registration has figures of its own, and together they are added up', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const app = Fastify()
  t.after(async () => await app.close())
  for (const prefix of ['/one', '/two']) await app.register(gitHttp, { root, prefix, spawner: { processes: 0 } })
  await app.inject('/one/app.git/info/refs?service=git-upload-pack')
  await app.inject('/two/app.git/info/refs?service=git-upload-pack')
  await app.inject('/two/app.git/info/refs?service=git-upload-pack')
  const { gitHttp: plugin } = app
  assert.deepEqual(['/one', '/two', undefined].map((prefix) => plugin.status(prefix).snapshot().totals.operations), [1, 2, 3])
  assert.equal(plugin.status().snapshot().caches.find(({ name }) => name === 'Refs in memory')?.maxBytes, 2 * 64 * 1024 * 1024)
  assert.throws(() => plugin.status('/three'), { code: 'FST_GIT_INVALID_OPTION' })
})
