import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Outcome } from '../../lib/summary.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { gatedGit } from '../fixtures/gated-git.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { servePacks, smallRepository, tipOf } from '../fixtures/pack-scene.ts'
import { openFetch, postFetch } from '../fixtures/post-fetch.ts'
import { eventually } from '../fixtures/processes.ts'
import { readme } from '../fixtures/readme.ts'
import { commitRandom, makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServer, type TestServer } from '../fixtures/server.ts'

const INFO = 30

function told ({ log }: TestServer): Array<Record<string, unknown>> {
  return log.filter(({ msg }) => msg === 'git operation')
}

test('the end of a fetch is one line with everything that there is to say of it', async (t) => {
  const scene = await servePacks(t, smallRepository)
  const body = fetchV2({ wants: [await tipOf(scene.served)] })
  const { body: answer } = await postFetch(scene.appUrl, body)
  await eventually(async () => told(scene).length === 1, 5_000, 'it is told')
  const { level, reqId, duration, admittedAfter, answeredAfter, time, pid, hostname, ...line } = told(scene)[0] as Record<string, unknown>
  assert.deepEqual(line, {
    repository: 'app.git',
    service: 'upload-pack',
    phase: 'exchange',
    user: null,
    address: '127.0.0.1',
    protocol: 2,
    outcome: 'completed',
    status: 200,
    code: null,
    bytesIn: body.length,
    bytesOut: answer.length,
    cache: 'miss',
    exitCode: null,
    refs: 0,
    msg: 'git operation'
  })
  assert.equal(level, INFO)
  assert.match(reqId as string, /^req-/)
  for (const milliseconds of [duration, admittedAfter, answeredAfter]) assert.equal(typeof milliseconds, 'number')
  assert.ok(time !== undefined && pid !== undefined && hostname !== undefined)
})

test('a push tells who, how many refs and git\'s exit code', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git', { commits: 0 })
  const server = await startServer(t, { root, authenticate: ({ username }) => username })
  const work = await makeWorkingCopy(root, 'work')
  await commitRandom(work, 'file', 1000)
  await git(['push', '--quiet', `${server.urlAs('ann', 'x')}/app.git`, 'HEAD:refs/heads/one', 'HEAD:refs/heads/two'], { cwd: work })
  await eventually(async () => told(server).some(({ phase, service }) => phase === 'exchange' && service === 'receive-pack'), 5_000, 'it is told')
  const line = told(server).find(({ phase }) => phase === 'exchange') as Record<string, unknown>
  assert.deepEqual([line['user'], line['refs'], line['exitCode'], line['outcome']], ['ann', 2, 0, 'completed'])
  assert.ok(line['bytesIn'] as number > 1000)
  const refused = told(server).find(({ status }) => status === 401)
  assert.deepEqual([refused?.['outcome'], refused?.['code'], refused?.['user']], ['refused', 'FST_GIT_AUTHENTICATION_REQUIRED', null])
})

test('a client that leaves is no error', async (t) => {
  const gate = await gatedGit(await temporaryFolder(t), 100)
  const scene = await servePacks(t, smallRepository, { git: { path: gate.path } })
  const fetch = await openFetch(scene.appUrl, fetchV2({ wants: [await tipOf(scene.served)] }))
  await gate.reached(1)
  fetch.destroy()
  await eventually(async () => told(scene).length === 1, 5_000, 'it is told')
  assert.equal(told(scene)[0]?.['outcome'], 'client-gone')
  assert.deepEqual(scene.log.filter(({ level }) => level as number > INFO && level !== 40), [])
  assert.equal(told(scene)[0]?.['level'], INFO)
})

test('a host leaves the lines out with logLevel, and only those of git', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const server = await startServer(t, { root, logLevel: 'warn' }, { before: (app) => { app.get('/other', async () => 'here') } })
  await git(['ls-remote', `${server.url}/app.git`])
  assert.equal((await tryGit(['ls-remote', `${server.url}/none.git`])).code, 128)
  await fetch(`${server.url}/other`)
  await server.app.close()
  assert.deepEqual(told(server), [])
  assert.equal(server.log.filter(({ msg }) => msg === 'request completed').length, 1)
})

test('the README\'s table has every field of the line, and the values that it names are all there are', async (t) => {
  const chapter = /^### Log$([^]*?)^###? /m.exec(await readme())?.[1] ?? assert.fail('no chapter')
  const rows = [...chapter.matchAll(/^\| (`[^|]*) \| ([^|]*) \|$/gm)].map(([, names = '', text = '']) => ({ names: [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name as string), text }))
  const documented = rows.flatMap(({ names }) => names)
  const valuesOf = (name: string): string[] => [...(rows.find(({ names }) => names.includes(name))?.text ?? '').matchAll(/`([\w-]+)`/g)].map(([, value]) => value as string)

  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git', { commits: 1 })
  const server = await startServer(t, { root, authenticate: ({ username }) => username })
  const work = join(root, 'work')
  await git(['clone', '--quiet', `${server.url}/app.git`, work])
  await commitRandom(work, 'file', 1000)
  await git(['push', '--quiet', `${server.urlAs('ann', 'x')}/app.git`, 'HEAD:refs/heads/one'], { cwd: work })
  await tryGit(['ls-remote', `${server.url}/none.git`])
  await fetch(`${server.url}/app.git/HEAD`)
  await eventually(async () => new Set(told(server).map(({ service, phase }) => `${String(service)} ${String(phase)}`)).size >= 5, 5_000, 'refs, fetches, pushes and files')
  for (const { level, time, pid, hostname, msg, ...line } of told(server)) {
    // `worker` is the command's with --workers.
    assert.deepEqual(Object.keys(line).sort(), documented.filter((name) => name !== 'worker').sort())
    for (const name of ['service', 'phase', 'outcome', 'cache']) {
      if (line[name] !== null) assert.ok(valuesOf(name).includes(line[name] as string), `${name}: ${String(line[name])}`)
    }
  }
  const outcomes: Record<Outcome, true> = { completed: true, refused: true, 'client-gone': true, timeout: true, 'git-failed': true, unavailable: true, failed: true }
  assert.deepEqual(valuesOf('outcome').sort(), Object.keys(outcomes).sort())
})
