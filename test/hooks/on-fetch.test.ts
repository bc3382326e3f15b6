import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodePacket } from '../../lib/protocol/pkt-line.ts'
import type { GitFetch, GitHttpHooks, OperationSummary } from '../../lib/index.ts'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { servePacks, smallRepository, tipOf, type PackScene } from '../fixtures/pack-scene.ts'
import { postFetch } from '../fixtures/post-fetch.ts'
import { eventually } from '../fixtures/processes.ts'
import { temporaryFolder } from '../fixtures/folder.ts'

async function serve (t: Parameters<typeof servePacks>[0], hooks: GitHttpHooks, processes = 1): Promise<PackScene> {
  return await servePacks(t, smallRepository, { hooks, spawner: { processes } })
}

for (const processes of [1, 0]) {
  test(`onFetch sees what a clone asks for (${processes} helpers)`, async (t) => {
    const fetches: GitFetch[] = []
    const { appUrl, served } = await serve(t, { onFetch: (fetch) => { fetches.push(fetch) } }, processes)
    await git(['config', 'uploadpack.allowFilter', 'true'], { cwd: served })
    const copy = join(await temporaryFolder(t), 'copy')
    await git(['clone', '--quiet', '--bare', '--depth=3', '--filter=blob:none', appUrl, copy])
    const tip = await tipOf(served)
    const [fetch] = fetches as [GitFetch]
    assert.deepEqual([fetch.operation.repository, fetch.operation.access, fetch.operation.user], ['app.git', 'read', null])
    assert.deepEqual([new Set(fetch.wants), fetch.haves, fetch.depth, fetch.filter, fetch.done, fetch.protocol], [new Set([tip]), 0, 3, 'blob:none', true, 2])
    assert.match(fetch.agent ?? '', /^git\//)
    assert.ok(fetch.capabilities.includes('ofs-delta'))
    assert.match(fetch.request.headers['user-agent'] ?? '', /^git\//)
    await git(['fetch', '--quiet', '--unshallow'], { cwd: copy })
    assert.ok((fetches.at(-1)?.haves ?? 0) > 0)
    assert.equal(fetches.at(-1)?.depth, 2147483647)
  })
}

for (const protocol of [0, 1, 2]) {
  test(`in protocol ${protocol} a refused clone prints the reason`, async (t) => {
    const { appUrl, root, log } = await serve(t, { onFetch: (fetch) => { if (fetch.depth === undefined) fetch.reject('full clones only at night') } })
    const clone = async (...options: string[]): Promise<{ code: number | null, stderr: string }> => await tryGit(['-c', `protocol.version=${protocol}`, 'clone', '--bare', ...options, appUrl, join(root, `copy-${options.length}`)])
    const { code, stderr } = await clone()
    assert.equal(code, 128)
    assert.match(stderr, /(?:remote error|ERR): full clones only at night/)
    assert.equal((await clone('--depth=1')).code, 0)
    assert.deepEqual(log.filter(({ level }) => level as number >= 50), [])
  })
}

test('onFetch is asked for every answer, from the cache as well, and may refuse it there', async (t) => {
  let asked = 0
  let refuse = false
  const summaries: OperationSummary[] = []
  const { appUrl, served } = await serve(t, {
    onFetch: (fetch) => {
      asked++
      if (refuse) fetch.reject('no more')
    },
    onFinish: (summary) => { if (summary.operation?.phase === 'exchange') summaries.push(summary) }
  })
  const body = fetchV2({ wants: [await tipOf(served)] })
  const uses = []
  for (let i = 0; i < 3; i++) uses.push((await postFetch(appUrl, body)).cache)
  assert.deepEqual(uses, ['miss', 'miss', 'hit'])
  refuse = true
  assert.match((await postFetch(appUrl, body)).body.toString(), /^....ERR no more$/)
  assert.equal(asked, 4)
  await eventually(async () => summaries.length === 4, 5_000, 'all have ended')
  assert.deepEqual(summaries.map(({ outcome, cache }) => [outcome, cache]), [['completed', 'miss'], ['completed', 'miss'], ['completed', 'hit'], ['refused', null]])
})

test('a listing of refs is no fetch', async (t) => {
  let asked = 0
  const { appUrl } = await serve(t, { onFetch: (fetch) => { asked++; fetch.reject('no') } })
  assert.match(await git(['ls-remote', appUrl]), /refs\/heads\/main/)
  assert.equal(asked, 0)
})

test('what is not understood is refused where there is a hook, and left to git where there is none', async (t) => {
  const odd = (tip: string): Buffer => Buffer.concat([fetchV2({ wants: [tip] }).subarray(0, -4), encodePacket('something-new'), Buffer.from('0000')])
  const open = await serve(t, {})
  assert.match((await postFetch(open.appUrl, odd(await tipOf(open.served)))).body.toString(), /ERR unexpected line: 'something-new'/)
  let asked = 0
  const { appUrl, served } = await serve(t, { onFetch: () => { asked++ } })
  const tip = await tipOf(served)
  for (const body of [odd(tip), Buffer.concat([encodePacket('command=object-info'), Buffer.from('0001'), encodePacket('size'), Buffer.from('0000')])]) {
    const { status, body: answer } = await postFetch(appUrl, body)
    assert.equal(status, 200)
    assert.match(answer.toString(), /ERR this server does not understand the request/)
  }
  assert.equal(asked, 0)
})

test('an onFetch that fails refuses with the id of the request, one that hangs with its deadline', async (t) => {
  let fail = true
  const { appUrl, served, log } = await serve(t, {
    deadline: 100,
    onFetch: async () => {
      if (fail) throw new Error('database down')
      await new Promise(() => {})
    }
  })
  const body = fetchV2({ wants: [await tipOf(served)] })
  assert.match((await postFetch(appUrl, body)).body.toString(), /ERR Internal error \(request req-\w+\)/)
  fail = false
  assert.match((await postFetch(appUrl, body)).body.toString(), /ERR A hook of the server took too long/)
  assert.equal(log.filter(({ msg }) => msg === 'a hook failed').length, 2)
})
