/** Every verdict of `authorize`, on every kind of request, and everything that is no verdict. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { git, tryGit } from '../fixtures/git.ts'
import { commitFile, makeWorkingCopy } from '../fixtures/repository.ts'
import type { Authorize, GitHttpOptions, Verdict } from '../../lib/index.ts'
import { assertAlive, assertDiscreet, authenticate, basic, makeStage, packet, PASSWORD, post, pushBody, refsOf, send, serve } from './helpers.ts'

const REASON = 'closed for the audit'

/** Expected statuses: `get` of info/refs, HEAD and a file; `post` of both services. `in-band`: 200 with the reason in git's protocol. */
const VERDICTS: Array<{ what: string, verdict: Verdict, user: boolean, get: number, post: number | 'in-band', headers?: Record<string, string> }> = [
  { what: 'true', verdict: true, user: false, get: 200, post: 200 },
  { what: 'true', verdict: true, user: true, get: 200, post: 200 },
  { what: 'a name', verdict: { allow: true, user: 'carol' }, user: false, get: 200, post: 200 },
  { what: 'false', verdict: false, user: false, get: 401, post: 401 },
  { what: 'false', verdict: false, user: true, get: 403, post: 403 },
  { what: 'hide', verdict: 'hide', user: false, get: 404, post: 404 },
  { what: 'hide', verdict: 'hide', user: true, get: 404, post: 404 },
  { what: 'a reason', verdict: { allow: false, reason: REASON }, user: false, get: 401, post: 'in-band' },
  { what: 'a reason', verdict: { allow: false, reason: REASON }, user: true, get: 403, post: 'in-band' },
  { what: 'a reason with a status', verdict: { allow: false, reason: REASON, status: 402 }, user: false, get: 402, post: 402 },
  { what: '429 with Retry-After', verdict: { allow: false, reason: REASON, status: 429, headers: { 'retry-after': '7' } }, user: false, get: 429, post: 429, headers: { 'retry-after': '7' } },
  { what: '429 with Retry-After', verdict: { allow: false, reason: REASON, status: 429, headers: { 'retry-after': '7' } }, user: true, get: 429, post: 429, headers: { 'retry-after': '7' } }
]

for (const { what, verdict, user, get, post: posted, headers = {} } of VERDICTS) {
  test(`verdict ${what} for ${user ? 'a known user' : 'an anonymous client'}`, async (t) => {
    const stage = await makeStage(t)
    const server = await serve(t, stage, { authenticate, authorize: () => verdict })
    const credentials = user ? [basic('alice', PASSWORD)] : []
    const files = ['info/refs', 'info/refs?service=git-upload-pack', 'HEAD', 'objects/info/packs']
    if (user || get !== 200 || typeof verdict === 'object') files.push('info/refs?service=git-receive-pack')
    for (const suffix of files) {
      for (const method of ['GET', 'HEAD']) {
        const response = await send(server.port, method, `/git/app.git/${suffix}`, credentials)
        assert.equal(response.status, get, `${method} ${suffix}: ${response.text}`)
        assert.equal(response.headers['www-authenticate'] !== undefined, get === 401)
        for (const [name, value] of Object.entries(headers)) assert.equal(response.headers[name], value)
        if (method === 'GET' && typeof verdict === 'object' && !verdict.allow) assert.equal(response.body.toString(), `${REASON}\n`)
        assertDiscreet(stage, response, suffix)
      }
    }
    const fetch = await post(server.port, '/git/app.git/git-upload-pack', '0000', credentials)
    assert.equal(fetch.status, posted === 'in-band' ? 200 : posted, fetch.text)
    if (posted === 'in-band') assert.deepEqual(fetch.body, packet(`ERR ${REASON}`))
    const source = await makeWorkingCopy(stage.folder, 'source')
    for (const [capabilities, expected] of [
      [' report-status', Buffer.concat([packet(`unpack ${REASON}\n`), Buffer.from('0000')])],
      [' report-status-v2', Buffer.concat([packet(`unpack ${REASON}\n`), Buffer.from('0000')])],
      [' report-status side-band-64k', Buffer.concat([packet(Buffer.concat([Buffer.of(1), packet(`unpack ${REASON}\n`), Buffer.from('0000')])), Buffer.from('0000')])],
      [' side-band-64k', Buffer.concat([packet(`\x03${REASON}\n`), Buffer.from('0000')])]
    ] as const) {
      if (posted === 200) continue
      const push = await post(server.port, '/git/app.git/git-receive-pack', await pushBody(source, 'refs/heads/pushed', capabilities), credentials)
      assert.equal(push.status, posted === 'in-band' ? 200 : posted, push.text)
      if (posted === 'in-band') assert.deepEqual(push.body, expected)
      assert.match(push.headers['content-type'] ?? '', posted === 'in-band' ? /^application\/x-git-receive-pack-result$/ : /^text\/plain/)
    }
    assert.deepEqual(await refsOf(join(stage.root, 'app.git')), ['refs/heads/main'])
    if (get !== 200) assert.deepEqual((await stage.started()).filter((line) => !line.includes('config --list')), [])
  })
}

/** A function of the host that fails, or answers what is no verdict. Serving is the one thing that must not happen. */
const FAILURES: Array<{ what: string, authorize: () => unknown }> = [
  { what: 'throws', authorize: () => { throw new Error('boom at /etc/hidden') } },
  { what: 'throws an error with a status and a code of ours', authorize: () => { throw Object.assign(new Error('boom at /etc/hidden'), { statusCode: 200, code: 'FST_GIT_FORBIDDEN' }) } },
  { what: 'throws a string', authorize: () => { throw 'boom at /etc/hidden' as unknown as Error } }, // eslint-disable-line no-throw-literal
  { what: 'throws nothing', authorize: () => { throw undefined as unknown as Error } }, // eslint-disable-line no-throw-literal
  { what: 'answers a rejected promise', authorize: async () => { throw new Error('boom at /etc/hidden') } },
  { what: 'answers a promise rejected with nothing', authorize: async () => await Promise.reject() }, // eslint-disable-line prefer-promise-reject-errors
  { what: 'answers undefined', authorize: () => undefined },
  { what: 'answers a promise of undefined', authorize: async () => undefined },
  { what: 'answers null', authorize: () => null },
  { what: 'answers a string', authorize: () => 'true' },
  { what: 'answers 1', authorize: () => 1 },
  { what: 'answers an array', authorize: () => [true] },
  { what: 'answers an empty object', authorize: () => ({}) },
  { what: 'answers a boxed true', authorize: () => Object(true) },
  { what: 'answers a function', authorize: () => () => true },
  { what: 'allows without a user', authorize: () => ({ allow: true }) },
  { what: 'allows an empty user', authorize: () => ({ allow: true, user: '' }) },
  { what: 'allows a user that is no string', authorize: () => ({ allow: true, user: ['admin'] }) },
  { what: 'allows by a string', authorize: () => ({ allow: 'true', user: 'admin' }) },
  { what: 'refuses without a reason', authorize: () => ({ allow: false }) },
  { what: 'refuses with a status that is a success', authorize: () => ({ allow: false, reason: REASON, status: 200 }) },
  { what: 'refuses with a status that is none', authorize: () => ({ allow: false, reason: REASON, status: 42 }) }
]

for (const { what, authorize } of FAILURES) {
  test(`authorize ${what}: 500 without details, and nothing is served`, async (t) => {
    const stage = await makeStage(t)
    const good: GitHttpOptions['authorize'] = ({ repository }) => repository === 'app.git'
    const failing = authorize as unknown as Authorize
    const open = await makeOther(stage.root)
    const server = await serve(t, stage, { authorize: async (operation, request) => operation.repository === open ? await failing(operation, request) : await good(operation, request) })
    for (const suffix of ['info/refs?service=git-upload-pack', 'info/refs?service=git-receive-pack', 'HEAD', 'objects/info/packs']) {
      const response = await send(server.port, 'GET', `/git/${open}/${suffix}`)
      assert.equal(response.status, 500, response.text)
      assert.doesNotMatch(response.text, /boom|hidden|at .*\.ts/)
      assertDiscreet(stage, response, suffix)
    }
    for (const service of ['git-upload-pack', 'git-receive-pack']) {
      const response = await post(server.port, `/git/${open}/${service}`, '0000')
      assert.equal(response.status, 500, response.text)
      assert.doesNotMatch(response.text, /boom|hidden/)
    }
    assert.deepEqual((await stage.started()).filter((line) => !line.includes('config --list')), [])
    await assertAlive(server)
  })
}

async function makeOther (root: string): Promise<string> {
  await git(['clone', '--quiet', '--bare', join(root, 'app.git'), join(root, 'other.git')])
  return 'other.git'
}

test('a header of a verdict cannot hold a second one', async (t) => {
  const stage = await makeStage(t)
  const server = await serve(t, stage, {
    authorize: ({ phase }) => phase !== 'file' || { allow: false, reason: REASON, status: 429, headers: { 'x-a': 'b\r\nx-injected: 1' } }
  })
  const response = await send(server.port, 'GET', '/git/app.git/HEAD')
  assert.ok([429, 500].includes(response.status), response.text)
  assert.equal(response.headers['x-injected'], undefined)
  assertDiscreet(stage, response, 'HEAD')
  await assertAlive(server)
})

/** What `authenticate` may do wrong: status of a request with credentials. */
const AUTHENTICATORS: Array<{ what: string, authenticate: () => unknown, status: number }> = [
  { what: 'throws', authenticate: () => { throw new Error('boom at /etc/hidden') }, status: 500 },
  { what: 'throws an error with status 200', authenticate: () => { throw Object.assign(new Error('boom'), { statusCode: 200 }) }, status: 500 },
  { what: 'rejects', authenticate: async () => { throw new Error('boom at /etc/hidden') }, status: 500 },
  { what: 'answers undefined', authenticate: () => undefined, status: 401 },
  { what: 'answers null', authenticate: async () => null, status: 401 },
  { what: 'answers true', authenticate: () => true, status: 401 },
  { what: 'answers an object', authenticate: () => ({ username: 'alice' }), status: 401 },
  { what: 'answers an empty name', authenticate: () => '', status: 401 },
  { what: 'answers a name with a newline', authenticate: () => 'alice\nroot', status: 401 }
]

for (const { what, authenticate: failing, status } of AUTHENTICATORS) {
  test(`authenticate ${what}: ${status}, and nothing is served`, async (t) => {
    const stage = await makeStage(t)
    const server = await serve(t, stage, { authenticate: failing as () => string | null })
    for (const suffix of ['info/refs?service=git-upload-pack', 'info/refs?service=git-receive-pack', 'HEAD', 'objects/info/packs']) {
      const response = await send(server.port, 'GET', `/git/app.git/${suffix}`, [basic('alice', PASSWORD)])
      assert.equal(response.status, status, response.text)
      assert.doesNotMatch(response.text, /boom|hidden/)
      assertDiscreet(stage, response, suffix)
    }
    assert.deepEqual(await stage.started(), [])
    const log = JSON.stringify(server.log)
    assert.ok(!log.includes(PASSWORD) && !log.includes((basic('alice', PASSWORD).split(' ')[2] as string)))
    if (status === 500) assert.match(log, /boom/, 'the cause is in the log')
    await assertAlive(server)
  })
}

test('the real client prints the reason of a refused exchange', async (t) => {
  const stage = await makeStage(t)
  const server = await serve(t, stage, { authenticate, authorize: ({ phase }) => phase !== 'exchange' || { allow: false, reason: REASON } })
  const url = `${server.urlAs('alice', PASSWORD)}/app.git`
  const source = await makeWorkingCopy(stage.folder, 'source')
  await commitFile(source, 'more.txt', 'more\n')
  for (const version of ['0', '1', '2']) {
    const fetch = await tryGit(['-c', `protocol.version=${version}`, 'fetch', url, 'main'], { cwd: source })
    assert.notEqual(fetch.code, 0)
    assert.match(fetch.stderr, new RegExp(`remote error: ${REASON}`))
    const push = await tryGit(['-c', `protocol.version=${version}`, 'push', url, 'HEAD:refs/heads/pushed'], { cwd: source })
    assert.notEqual(push.code, 0)
    assert.match(push.stderr, new RegExp(REASON))
  }
  assert.deepEqual(await refsOf(join(stage.root, 'app.git')), ['refs/heads/main'])
})

test('the real client prints the reason of a refused discovery', async (t) => {
  const stage = await makeStage(t)
  const server = await serve(t, stage, { authenticate, authorize: () => ({ allow: false, reason: REASON }) })
  const listing = await tryGit(['ls-remote', `${server.urlAs('alice', PASSWORD)}/app.git`])
  assert.notEqual(listing.code, 0)
  assert.match(listing.stderr, new RegExp(`remote: ${REASON}`))
})
