import assert from 'node:assert/strict'
import { test } from 'node:test'
import { takeApart } from '../fixtures/fetch-answer.ts'
import { fetchV0, fetchV2 } from '../fixtures/fetch-request.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { servePacks, smallRepository, tipOf } from '../fixtures/pack-scene.ts'
import { postFetch, type FetchReply } from '../fixtures/post-fetch.ts'
import { history, makeRepository } from '../fixtures/repository.ts'

function as (user: string): { headers: Record<string, string> } {
  return { headers: { authorization: `Basic ${Buffer.from(`${user}:secret`).toString('base64')}` } }
}

test('who may not read gets the same refusal for a pack that is kept as for one that is not', async (t) => {
  let asked = 0
  const { served, appUrl } = await servePacks(t, smallRepository, {
    publicRead: false,
    authenticate: ({ username, password }) => password === 'secret' ? username : null,
    authorize: ({ user }) => {
      asked++
      return user === 'alice' || user === 'amy'
    }
  })
  const wants = [await tipOf(served)]
  const kept = fetchV2({ wants })
  const other = fetchV2({ wants, lines: ['deepen 3'] })
  for (let i = 0; i < 3; i++) await postFetch(appUrl, kept, as('alice'))
  assert.equal((await postFetch(appUrl, kept, as('amy'))).cache, 'hit', 'for everybody who may')
  assert.equal(asked, 4, 'everybody is asked about')
  for (const headers of [as('bob'), {}, { headers: { authorization: 'Basic YWxpY2U6d3Jvbmc=' } }]) {
    const [one, two] = [await postFetch(appUrl, kept, headers), await postFetch(appUrl, other, headers)]
    assert.equal(one.status, two.status)
    assert.ok(one.status === 401 || one.status === 403)
    assert.equal(one.cache, undefined)
    assert.ok(one.body.equals(two.body))
    for (const reply of [one, two]) delete reply.headers.date
    assert.deepEqual(one.headers, two.headers)
  }
})

test('a hook that inspects fetches is asked about hits as well, and its refusal holds for them', async (t) => {
  const asked: Array<readonly string[]> = []
  let reason: string | null = null
  const { served, appUrl } = await servePacks(t, smallRepository, {
    hooks: {
      onFetch: (fetch) => {
        asked.push(fetch.wants)
        if (reason !== null) fetch.reject(reason)
      }
    }
  })
  const wants = [await tipOf(served)]
  const body = fetchV2({ wants })
  for (const expected of ['miss', 'miss', 'hit']) assert.equal((await postFetch(appUrl, body)).cache, expected)
  reason = 'not now'
  const refused = await postFetch(appUrl, body)
  assert.deepEqual([refused.status, refused.cache, takeApart(refused.body).lines], [200, undefined, ['ERR not now']])
  reason = null
  assert.equal((await postFetch(appUrl, body)).cache, 'hit')
  assert.deepEqual(asked, Array.from({ length: 5 }, () => wants))
})

test('an answer for a private repository is not for shared caches, hit or not', async (t) => {
  const { served, appUrl } = await servePacks(t, smallRepository, { publicRead: false, authenticate: ({ username }) => username })
  const body = fetchV2({ wants: [await tipOf(served)] })
  const replies = [await postFetch(appUrl, body, as('alice')), await postFetch(appUrl, body, as('alice')), await postFetch(appUrl, body, as('alice'))]
  assert.deepEqual(replies.map(({ cache }) => cache), ['miss', 'miss', 'hit'])
  for (const { headers } of replies) {
    assert.deepEqual([headers['cache-control'], headers.vary], [replies[0]?.headers['cache-control'], replies[0]?.headers.vary])
    assert.match(headers['cache-control'] ?? '', /no-cache/)
    assert.equal(headers['content-type'], 'application/x-git-upload-pack-result')
  }
})

test('the same objects in two repositories: neither answers for the other, and what only one has stays there', async (t) => {
  const { root, served, url, appUrl } = await servePacks(t, smallRepository)
  const fork = await makeRepository(root, 'fork.git', { commits: 20 })
  await git(['fast-import', '--quiet'], { cwd: served, input: history('refs/heads/secret', 2) })
  assert.equal(await tipOf(fork), await tipOf(served))
  const common = fetchV2({ wants: [await tipOf(served)] })
  const secret = fetchV2({ wants: [await tipOf(served, 'refs/heads/secret')] })
  for (const body of [common, secret]) {
    const uses: Array<string | undefined> = []
    for (let i = 0; i < 3; i++) uses.push((await postFetch(appUrl, body)).cache)
    assert.deepEqual(uses, ['miss', 'miss', 'hit'])
  }
  assert.equal((await postFetch(`${url}/fork.git`, common)).cache, 'miss')
  for (let i = 0; i < 3; i++) {
    const { lines, pack } = takeApart((await postFetch(`${url}/fork.git`, secret)).body)
    assert.match(lines.join(), /^ERR upload-pack: not our ref/)
    assert.equal(pack.length, 0)
  }
})

test('one repository under two names shares its packs, and a linked worktree has its own', async (t) => {
  const { served, url, root } = await servePacks(t, smallRepository)
  await git(['worktree', 'add', '--quiet', '--detach', `${root}/tree`], { cwd: served })
  const body = fetchV2({ wants: [await tipOf(served)] })
  const uses: Array<string | undefined> = []
  for (const name of ['app.git', 'app', 'app', 'tree']) uses.push((await postFetch(`${url}/${name}`, body)).cache)
  assert.deepEqual(uses, ['miss', 'miss', 'hit', 'miss'])
})

test('what only one namespace advertises cannot be had in another (v0)', async (t) => {
  const { served, appUrl } = await servePacks(t, smallRepository, { namespace: (_operation, request) => request.headers['x-namespace'] as string | undefined })
  await git(['fast-import', '--quiet'], { cwd: served, input: history('refs/namespaces/one/refs/heads/own', 2) })
  await git(['update-ref', 'refs/namespaces/two/refs/heads/main', 'main'], { cwd: served })
  const body = fetchV0({ wants: [await tipOf(served, 'refs/namespaces/one/refs/heads/own')] })
  const ask = async (name: string): Promise<FetchReply> => await postFetch(appUrl, body, { protocol: 0, headers: { 'x-namespace': name } })
  for (const expected of ['miss', 'miss', 'hit']) assert.equal((await ask('one')).cache, expected)
  for (let i = 0; i < 3; i++) assert.match((await ask('two')).body.toString(), /ERR upload-pack: not our ref/)
})

test('what the host adds to git\'s environment is for one request, and so is the answer', async (t) => {
  const { served, appUrl } = await servePacks(t, smallRepository, { environment: () => ({ ANYTHING: '1' }) })
  const body = fetchV2({ wants: [await tipOf(served)] })
  for (let i = 0; i < 3; i++) assert.equal((await postFetch(appUrl, body)).cache, 'bypass')
  assert.equal((await tryGit(['ls-remote', appUrl])).code, 0)
})
