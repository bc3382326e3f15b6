import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createDirectStarter, type Starter } from '../../lib/git/starter.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { helpersOf } from '../fixtures/helpers.ts'
import { history, makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startPages } from './pages.ts'

test('the list: name, description, default branch, last update, size, clone line', async (t) => {
  const root = await temporaryFolder(t)
  const path = await makeRepository(root, 'team/app.git', { commits: 3 })
  await writeFile(join(path, 'description'), 'The <app>\n')
  await git(['symbolic-ref', 'HEAD', 'refs/heads/trunk'], { cwd: await makeRepository(root, 'empty.git', { commits: 0 }) })
  const { app, problems } = await startPages(t, { root })
  const { statusCode, body } = await app.inject({ url: '/', headers: { host: 'git.example.org' } })
  assert.equal(statusCode, 200)
  assert.match(body, /<a class="name" href="\/team\/app\.git\/">/)
  assert.match(body, /<p class="description"><bdi>The &lt;app&gt;<\/bdi>/)
  assert.match(body, /<code[^>]*>git clone http:\/\/git\.example\.org\/team\/app\.git<\/code>/)
  assert.match(body, /<time datetime="2023-11-14T22:13:23\.000Z" title="2023-11-14 22:13 UTC">/)
  assert.match(body, /data-head="Size">\d+(?:\.\d)? KiB</)
  assert.match(body, /<bdi>trunk<\/bdi>.*?empty/)
  assert.doesNotMatch(body, /Unnamed repository/)
  assert.deepEqual(problems, [])
})

test('a repository\'s page: branches, tags, the newest twenty commits, how to push', async (t) => {
  const root = await temporaryFolder(t)
  const path = await makeRepository(root, 'app.git', { commits: 30 })
  await git(['branch', 'older', 'main~5'], { cwd: path })
  await git(['tag', '-a', '-m', 'one', 'v1', 'main~2'], { cwd: path })
  const { app } = await startPages(t, { root, url: 'https://git.example.org' })
  const { body } = await app.inject('/app.git/')
  assert.deepEqual([...body.matchAll(/<bdi>commit (\d+)<\/bdi>/g)].map(([, n]) => Number(n)), Array.from({ length: 20 }, (_, i) => 30 - i))
  assert.match(body, /<bdi>Ann Author<\/bdi>/)
  assert.match(body, /<bdi>main<\/bdi> <span class="badge">default<\/span>/)
  assert.match(body, /<bdi>older<\/bdi>/)
  assert.match(body, /<bdi>v1<\/bdi>/)
  assert.match(body, /git remote add origin https:\/\/git\.example\.org\/app\.git\ngit push -u origin HEAD/)
  assert.match(body, /<title>app\.git · git<\/title>/)
})

test('every change shows at once: a push, another default branch, a description', async (t) => {
  const root = await temporaryFolder(t)
  const path = await makeRepository(root, 'app.git', { commits: 1 })
  const { app } = await startPages(t, { root })
  const page = async (): Promise<string> => (await app.inject('/app.git/')).body
  assert.match(await page(), /<bdi>commit 1<\/bdi>/)
  await git(['fast-import', '--quiet', '--force'], { cwd: path, input: history('refs/heads/main', 7) })
  assert.match(await page(), /<bdi>commit 7<\/bdi>/)
  await git(['branch', 'next', 'main~3'], { cwd: path })
  await git(['symbolic-ref', 'HEAD', 'refs/heads/next'], { cwd: path })
  const moved = await page()
  assert.match(moved, /Recent commits on <span class="branch"><bdi>next/)
  assert.doesNotMatch(moved, /<bdi>commit 7<\/bdi>/)
  await writeFile(join(path, 'description'), 'new words')
  assert.match(await page(), /new words/)
})

test('an empty repository shows the lines that fill it; a working copy, that its branch takes no push', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'empty.git', { commits: 0 })
  await makeWorkingCopy(root, 'copy')
  const { app } = await startPages(t, { root })
  const empty = (await app.inject('/empty.git/')).body
  assert.match(empty, /This repository is empty/)
  assert.match(empty, /git init -b main\ngit add \.\n/)
  assert.match((await app.inject('/copy/')).body, /branches that are not checked out there/)
  assert.match((await app.inject('/copy/')).body, /<bdi>add readme\.txt<\/bdi>/)
})

test('a detached HEAD shows its commits; a branch that is missing, those of the newest', async (t) => {
  const root = await temporaryFolder(t)
  const path = await makeRepository(root, 'app.git', { commits: 9 })
  const { app } = await startPages(t, { root })
  const newest = async (): Promise<string | undefined> => /<bdi>(commit \d+)<\/bdi>/.exec((await app.inject('/app.git/')).body)?.[1]
  await git(['update-ref', '--no-deref', 'HEAD', 'main~3'], { cwd: path })
  assert.equal(await newest(), 'commit 6')
  await git(['symbolic-ref', 'HEAD', 'refs/heads/none'], { cwd: path })
  assert.equal(await newest(), 'commit 9')
})

test('a repository has one address; root itself may be it', async (t) => {
  const root = await temporaryFolder(t)
  const only = await makeRepository(root, 'app.git')
  const { app } = await startPages(t, { root, prefix: '/git' })
  for (const url of ['/git/app', '/git/app/', '/git/app.git']) {
    const { statusCode, headers } = await app.inject(url)
    assert.deepEqual([statusCode, headers.location], [302, '/git/app.git/'], url)
  }
  assert.equal((await app.inject('/git')).headers.location, '/git/')
  const one = await startPages(t, { root: only })
  const { body } = await one.app.inject('/')
  assert.match(body, /<bdi>commit 1<\/bdi>/)
  assert.match(body, /git clone http:\/\/localhost(?::80)?\/ app</)
})

test('git\'s own addresses stay git\'s, under the same prefix', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  await makeRepository(root, 'x/HEAD', { commits: 2 })
  const { app, url } = await startPages(t, { root }, { listen: true })
  assert.match((await app.inject('/app.git/info/refs?service=git-upload-pack')).headers['content-type'] as string, /x-git-upload-pack-advertisement/)
  assert.equal((await app.inject('/app.git/HEAD')).body, 'ref: refs/heads/main\n')
  assert.equal((await app.inject('/x/HEAD')).statusCode, 404)
  assert.match((await app.inject('/x/HEAD/')).body, /<bdi>commit 2<\/bdi>/)
  assert.equal((await app.inject({ url: '/app.git/git-upload-pack', method: 'GET' })).statusCode, 405)
  await git(['clone', '--quiet', `${url}/app.git`, join(await temporaryFolder(t), 'app')])
  await git(['clone', '--quiet', `${url}/x/HEAD`, join(await temporaryFolder(t), 'x')])
})

test('git is asked about the repositories of the page and no others, and once', async (t) => {
  const root = await temporaryFolder(t)
  const names = Array.from({ length: 120 }, (_, i) => `r${String(i).padStart(3, '0')}.git`)
  for (const name of names) await makeRepository(root, name, { commits: 0 })
  const asked = new Set<string>()
  let [running, most, questions] = [0, 0, 0]
  const direct = createDirectStarter('git')
  const starter: Starter = {
    ...direct,
    capture: async (args, env, limit) => {
      questions++
      asked.add(args.find((argument) => argument.startsWith('--git-dir='))?.slice(-8) ?? '')
      most = Math.max(most, ++running)
      try { return await direct.capture(args, env, limit) } finally { running-- }
    }
  }
  const { app } = await startPages(t, { root, starter })
  const second = (await app.inject('/?after=r049.git')).body
  asked.delete('')
  assert.deepEqual([...asked].sort(), names.slice(50, 100))
  assert.ok(most <= 4, `${most} at once`)
  assert.match(second, /rel="prev" href="\/\?before=r050\.git".*rel="next" href="\/\?after=r099\.git"/s)
  const before = questions
  // What changed within the last moments may change again without a trace, and is asked anew.
  await app.inject('/?after=r049.git')
  assert.ok(questions - before <= 100)
  assert.match((await app.inject('/?q=R11')).body, /r110\.git.*r119\.git/s)
})

test('without a starter of the host it brings its own, which ends with the server', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const { app } = await startPages(t, { root, starter: undefined })
  assert.equal((await helpersOf(process.pid)).length, 1)
  assert.match((await app.inject('/app.git/')).body, /<bdi>commit 1<\/bdi>/)
  await app.close()
  assert.deepEqual(await helpersOf(process.pid), [])
})

test('HEAD, and a page that has not changed', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const { app } = await startPages(t, { root })
  for (const url of ['/', '/app.git/', '/-/style.css', '/-/script.js', '/-/icon.svg']) {
    const { headers, body } = await app.inject(url)
    const head = await app.inject({ url, method: 'HEAD' })
    assert.deepEqual([head.statusCode, head.body, head.headers.etag, head.headers['content-length']], [200, '', headers.etag, String(Buffer.byteLength(body))], url)
    const again = await app.inject({ url, headers: { 'if-none-match': `"other", W/${headers.etag as string}` } })
    assert.deepEqual([again.statusCode, again.body], [304, ''], url)
    assert.match(headers['cache-control'] as string, /^no-cache/)
  }
  assert.equal((await app.inject('/')).headers['cache-control'], 'no-cache, private')
})

test('every answer, errors included, forbids what no page needs', async (t) => {
  const root = await temporaryFolder(t)
  const { app } = await startPages(t, { root, user: (request) => { if (request.headers['x-break'] !== undefined) throw new Error('secret /srv/path'); return null } })
  for (const [url, code, headers] of [['/', 200, {}], ['/missing/', 404, {}], ['/-/script.js', 200, {}], ['/', 500, { 'x-break': '1' }]] as const) {
    const response = await app.inject({ url, headers })
    assert.equal(response.statusCode, code)
    assert.match(response.headers['content-security-policy'] as string, /^default-src 'none'; script-src 'self'; style-src 'self';/)
    assert.doesNotMatch(response.headers['content-security-policy'] as string, /unsafe/)
    assert.deepEqual([response.headers['x-content-type-options'], response.headers['referrer-policy']], ['nosniff', 'no-referrer'])
    assert.doesNotMatch(response.body, /secret|\/srv\/path| style=| on[a-z]+=|<script(?! src="\/-\/script\.js" defer>)/)
  }
})
