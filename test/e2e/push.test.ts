import assert from 'node:assert/strict'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { GitHttpOptions } from '../../lib/index.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { commitFile, commitRandom, makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'

async function setUp (t: TestContext, options: GitHttpOptions = {}) {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git', { commits: 0 })
  const work = await makeWorkingCopy(root, 'work')
  const server = await startServer(t, { root, publicWrite: true, ...options })
  await git(['remote', 'add', 'origin', `${server.url}/app.git`], { cwd: work })
  return { root, served, work, server }
}

test('a push creates, updates, forces and deletes branches and tags', async (t) => {
  const { served, work } = await setUp(t)
  const remote = async (ref: string): Promise<string> => await git(['rev-parse', '--verify', '--quiet', ref], { cwd: served }).catch(() => 'none')

  await git(['push', '--quiet', 'origin', 'main'], { cwd: work })
  const first = await git(['rev-parse', 'HEAD'], { cwd: work })
  assert.equal(await remote('main'), first)

  const second = await commitFile(work, 'two.txt', 'two\n')
  await git(['tag', '-a', '-m', 'one', 'v1'], { cwd: work })
  await git(['push', '--quiet', '--follow-tags', 'origin', 'main', 'main:refs/heads/topic'], { cwd: work })
  assert.equal(await remote('main'), second)
  assert.equal(await remote('v1^{commit}'), second)

  await git(['reset', '--quiet', '--hard', first], { cwd: work })
  const rejected = await tryGit(['push', 'origin', 'main'], { cwd: work })
  assert.match(rejected.stderr, /non-fast-forward/)
  await git(['push', '--quiet', '--force', 'origin', 'main'], { cwd: work })
  assert.equal(await remote('main'), first)

  await git(['push', '--quiet', 'origin', ':topic', ':v1'], { cwd: work })
  assert.equal(await remote('topic'), 'none')
  assert.equal(await remote('v1'), 'none')
})

test('an atomic push with one refused ref changes nothing', async (t) => {
  const { served, work } = await setUp(t)
  await git(['push', '--quiet', 'origin', 'main'], { cwd: work })
  await git(['config', 'receive.denyDeletes', 'true'], { cwd: served })
  await commitFile(work, 'two.txt', 'two\n')
  const { code, stderr } = await tryGit(['push', '--atomic', 'origin', 'main:new', ':main'], { cwd: work })
  assert.notEqual(code, 0)
  assert.match(stderr, /remote rejected.*atomic|atomic.*failed/)
  assert.equal(await git(['for-each-ref', '--format=%(refname)'], { cwd: served }), 'refs/heads/main')
})

test('hooks of the repository see who pushed, from where, and the push options', async (t) => {
  const { root, served, work, server } = await setUp(t, { publicWrite: false, authenticate: ({ username, password }) => password === 'right' ? username : null })
  await git(['config', 'receive.advertisePushOptions', 'true'], { cwd: served })
  const hook = join(served, 'hooks', 'pre-receive')
  await writeFile(hook, `#!/bin/sh\nenv > ${root}/seen\necho "hello $REMOTE_USER" >&2\n`)
  await chmod(hook, 0o755)

  const { stderr } = await tryGit(['push', '-o', 'ci.skip', `${server.urlAs('alice', 'right')}/app.git`, 'main'], { cwd: work })
  assert.match(stderr, /remote: hello alice/)
  const seen = await readFile(join(root, 'seen'), 'utf8')
  for (const line of ['REMOTE_USER=alice', 'REMOTE_ADDR=127.0.0.1', 'GIT_COMMITTER_NAME=alice', 'GIT_COMMITTER_EMAIL=alice@http.127.0.0.1', 'GIT_PUSH_OPTION_0=ci.skip']) {
    assert.ok(seen.split('\n').includes(line), `${line} in\n${seen}`)
  }
})

test('environment adds to git\'s environment and wins', async (t) => {
  const { root, served, work } = await setUp(t, { environment: ({ repository }) => ({ GIT_COMMITTER_NAME: 'Robot', GL_PROJECT: repository }) })
  const hook = join(served, 'hooks', 'update')
  await writeFile(hook, `#!/bin/sh\necho "$GIT_COMMITTER_NAME $GL_PROJECT $REMOTE_USER." > ${root}/seen\n`)
  await chmod(hook, 0o755)
  await git(['push', '--quiet', 'origin', 'main'], { cwd: work })
  assert.equal(await readFile(join(root, 'seen'), 'utf8'), 'Robot app.git .\n')
})

test('a push of 100 MB that no compression makes smaller streams through in chunks', async (t) => {
  const { served, work } = await setUp(t)
  const id = await commitRandom(work, 'big.bin', 100 * 1024 * 1024)
  const { code, stderr } = await tryGit(['push', 'origin', 'main'], { cwd: work, env: { GIT_CURL_VERBOSE: '1', GIT_TRACE_CURL_NO_DATA: '1' } })
  assert.equal(code, 0, stderr.slice(-2000))
  assert.match(stderr, /Transfer-Encoding: chunked/i)
  assert.equal(await git(['rev-parse', 'main'], { cwd: served }), id)
  await git(['fsck'], { cwd: served })
})

test('a large push asks with a probe first, with and without credentials', async (t) => {
  const lengths: Array<[string | undefined, number]> = []
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git', { commits: 0 })
  const work = await makeWorkingCopy(root, 'work')
  await commitRandom(work, 'big.bin', 3 * 1024 * 1024)
  const server = await startServer(t, { root, authenticate: ({ username, password }) => password === 'right' ? username : null }, {
    before: (app) => app.addHook('onResponse', async (request, reply) => {
      if (request.method === 'POST') lengths.push([request.headers['content-length'], reply.statusCode])
    })
  })
  const anonymous = await tryGit(['push', `${server.url}/app.git`, 'main'], { cwd: work })
  assert.match(anonymous.stderr, /could not read Username/)
  await git(['push', '--quiet', `${server.urlAs('alice', 'right')}/app.git`, 'main'], { cwd: work })
  assert.deepEqual(lengths, [['4', 200], [undefined, 200]])
})

test('pushed objects are checked: a broken tree is refused with the reason', async (t) => {
  const { served, work } = await setUp(t)
  const blob = await git(['hash-object', '-w', '--stdin'], { cwd: work, input: 'x' })
  const raw = Buffer.concat([Buffer.from('100644 .git\0'), Buffer.from(blob, 'hex')])
  const tree = await git(['hash-object', '-w', '-t', 'tree', '--literally', '--stdin'], { cwd: work, input: raw })
  const commit = await git(['commit-tree', '-m', 'bad', tree], { cwd: work })
  const { code, stderr } = await tryGit(['push', 'origin', `${commit}:refs/heads/bad`], { cwd: work })
  assert.notEqual(code, 0)
  assert.match(stderr, /hasDotgit/)
  assert.equal(await git(['for-each-ref'], { cwd: served }), '')
})

test('the first push creates the repository where the host allows it, and only then', async (t) => {
  const asked: string[] = []
  const { root, work, server } = await setUp(t, { createOnPush: (path) => { asked.push(path); return path.startsWith('team/') } })
  const refused = await tryGit(['push', `${server.url}/other/new`, 'main'], { cwd: work })
  assert.match(refused.stderr, /not found/)
  await git(['ls-remote', `${server.url}/team/new`]).then(() => assert.fail('reading creates nothing'), () => {})
  await assert.rejects(git(['rev-parse', '--git-dir'], { cwd: join(root, 'team') }))

  const results = await Promise.all(['a', 'b', 'c', 'd'].map((branch) => tryGit(['push', `${server.url}/team/new`, `main:${branch}`], { cwd: work })))
  assert.deepEqual(results.map(({ code }) => code), [0, 0, 0, 0], results.map(({ stderr }) => stderr).join('\n'))
  assert.equal(await git(['for-each-ref', '--format=%(refname:short)'], { cwd: join(root, 'team', 'new.git') }), 'a\nb\nc\nd')
  assert.ok(asked.includes('team/new.git'))

  const inside = await tryGit(['push', `${server.url}/team/new.git/refs/x`, 'main'], { cwd: work })
  assert.notEqual(inside.code, 0)
})
