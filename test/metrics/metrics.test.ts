import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify from 'fastify'
import { Registry } from 'prom-client'
import gitHttp from '../../lib/index.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { gatedGit } from '../fixtures/gated-git.ts'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { servePacks, smallRepository, tipOf } from '../fixtures/pack-scene.ts'
import { endOf, openFetch, postFetch } from '../fixtures/post-fetch.ts'
import { eventually } from '../fixtures/processes.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'

/** The lines of a metric, as Prometheus reads them. */
async function lines (register: Registry, name: string): Promise<string[]> {
  return (await register.metrics()).split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `)).sort()
}

test('operations are counted by service and outcome, their bytes and durations as well', async (t) => {
  const register = new Registry()
  const { appUrl, url, served, app } = await servePacks(t, smallRepository, { metrics: { register } })
  await git(['ls-remote', appUrl])
  await tryGit(['ls-remote', `${url}/none.git`])
  const body = fetchV2({ wants: [await tipOf(served)] })
  // git's threads make packs of different lengths of the same objects.
  let received = 0
  for (let i = 0; i < 3; i++) received += (await postFetch(appUrl, body)).body.length
  await eventually(async () => app.gitHttp.active === 0, 5_000, 'nothing is in flight')
  const counted = await lines(register, 'git_http_operations_total')
  assert.deepEqual(counted, [
    'git_http_operations_total{service="upload-pack",outcome="completed"} 5',
    'git_http_operations_total{service="upload-pack",outcome="refused"} 1'
  ])
  const sent = Number((await lines(register, 'git_http_sent_bytes_total'))[0]?.split(' ')[1])
  assert.ok(sent > received, `${sent} of ${received}`)
  assert.deepEqual(await lines(register, 'git_http_operation_duration_seconds_count'), [
    'git_http_operation_duration_seconds_count{service="upload-pack",phase="advertise"} 2',
    'git_http_operation_duration_seconds_count{service="upload-pack",phase="exchange"} 4'
  ])
  assert.equal((await lines(register, 'git_http_first_byte_seconds_count')).length, 2)
  assert.deepEqual(await lines(register, 'git_http_cache_misses_total'), ['git_http_cache_misses_total{cache="packs"} 2', (await lines(register, 'git_http_cache_misses_total'))[1]])
  assert.ok((await lines(register, 'git_http_cache_hits_total')).includes('git_http_cache_hits_total{tier="memory"} 1'))
  assert.match((await lines(register, 'git_http_cache_bytes')).join(), /tier="memory"} [1-9]/)
  assert.match((await lines(register, 'git_http_helpers')).join(), / 1$/)
  assert.match((await lines(register, 'git_http_git_starts_total')).join(), / [1-9]\d*$/)
})

test('what is in flight and what waits is seen', async (t) => {
  const register = new Registry()
  const gate = await gatedGit(await temporaryFolder(t), 100)
  const { appUrl, served } = await servePacks(t, smallRepository, { metrics: { register }, git: { path: gate.path }, packs: false, limits: { maxConcurrent: 1 } })
  const body = fetchV2({ wants: [await tipOf(served)] })
  const first = await openFetch(appUrl, body)
  await gate.reached(1)
  const second = openFetch(appUrl, body)
  await eventually(async () => (await lines(register, 'git_http_queue_length')).join() === 'git_http_queue_length 1', 5_000, 'one waits')
  assert.deepEqual(await lines(register, 'git_http_operations_in_flight'), ['git_http_operations_in_flight{service="upload-pack"} 2'])
  assert.deepEqual(await lines(register, 'git_http_git_processes'), ['git_http_git_processes 1'])
  await gate.open()
  assert.deepEqual([await endOf(first), await endOf(await second)], ['whole', 'whole'])
})

test('a helper that was killed is counted', async (t) => {
  const register = new Registry()
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const { app } = await startServer(t, { root, spawner: { processes: 1 }, metrics: { register } })
  const pages = app.gitHttp.pages().starter as unknown as { pids: number[] }
  const [pid = 0] = pages.pids
  process.kill(pid, 'SIGKILL')
  await eventually(async () => (await lines(register, 'git_http_helper_restarts_total')).join().endsWith(' 1'), 5_000, 'the restart is counted')
  await eventually(async () => (await lines(register, 'git_http_helpers')).join().endsWith(' 1'), 5_000, 'there is another one')
})

test('no label names a repository, a user or an address', async (t) => {
  const register = new Registry()
  const root = await temporaryFolder(t)
  for (const name of ['secret-one.git', 'secret-two.git']) await makeRepository(root, name)
  const { urlAs, app } = await startServer(t, { root, metrics: { register }, authenticate: ({ username }) => username })
  for (const user of ['ann', 'bob']) for (const name of ['secret-one.git', 'secret-two.git']) await git(['ls-remote', `${urlAs(user, 'x')}/${name}`])
  await eventually(async () => app.gitHttp.active === 0, 5_000, 'nothing is in flight')
  const text = await register.metrics()
  assert.doesNotMatch(text, /secret|ann|bob|127\.0/)
  // service x outcome and service x phase; three tiers and so on.
  assert.ok(text.split('\n').length < 200)
})

test('registrations that share a registry are added up; of one that is closed the sums stay', async (t) => {
  const register = new Registry()
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const apps = await Promise.all(['/one', '/two'].map(async (prefix) => {
    const app = Fastify()
    t.after(async () => await app.close())
    await app.register(gitHttp, { root, prefix, metrics: { register }, spawner: { processes: 0 }, limits: { maxConcurrent: 5 } })
    await app.ready()
    return app
  }))
  assert.deepEqual(await lines(register, 'git_http_git_processes_limit'), ['git_http_git_processes_limit 10'])
  await apps[0]?.inject('/one/app.git/info/refs?service=git-upload-pack')
  await apps[1]?.inject('/two/app.git/info/refs?service=git-upload-pack')
  await apps[0]?.close()
  assert.deepEqual(await lines(register, 'git_http_operations_total'), ['git_http_operations_total{service="upload-pack",outcome="client-gone"} 2'], 'light-my-request never finishes')
  assert.deepEqual(await lines(register, 'git_http_git_processes_limit'), ['git_http_git_processes_limit 5'])
})

test('what is no registry is refused', async () => {
  const app = Fastify()
  await assert.rejects(async () => await app.register(gitHttp, { root: '/', metrics: { register: {} as never } }), { code: 'FST_GIT_INVALID_OPTION', message: /metrics\.register/ })
})
