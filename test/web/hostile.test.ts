import assert from 'node:assert/strict'
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { getRaw } from '../fixtures/raw.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { startPages } from './pages.ts'

const SCRIPT = '<script>alert(1)</script>'

/** A commit whose author and subject are bytes of the test's choice. */
function commit (author: Buffer, subject: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from('commit refs/heads/main\nauthor '), author, Buffer.from(` <a@example.org> 1700000000 +0000\ncommitter Ann <ann@example.org> 1700000000 +0000\ndata ${subject.length}\n`),
    subject, Buffer.from('\n')
  ])
}

test('script tags in every place that a repository fills are text', async (t) => {
  const root = await temporaryFolder(t)
  const name = '"><img src=x onerror=alert(1)>\'&.git'
  const path = await makeRepository(root, name, { commits: 0 })
  await writeFile(join(path, 'description'), `${SCRIPT}\n`)
  await git(['fast-import', '--quiet'], { cwd: path, input: commit(Buffer.from('Ann "&b;'), Buffer.from(SCRIPT)) })
  await git(['update-ref', 'refs/heads/<b>&"\'', 'main'], { cwd: path })
  await git(['tag', '<i>', 'main'], { cwd: path })
  await git(['symbolic-ref', 'HEAD', 'refs/heads/<b>&"\''], { cwd: path })
  const { app } = await startPages(t, { root })
  for (const url of ['/', `/${encodeURIComponent(name)}/`, `/?q=${encodeURIComponent('"><script>')}`, '/%3Cscript%3E/']) {
    const { body } = await app.inject(url)
    assert.doesNotMatch(body, /<(?:script>|img src=x|b>|i>)/, url)
  }
  const { body } = await app.inject(`/${encodeURIComponent(name)}/`)
  assert.match(body, /<bdi>&lt;script&gt;alert\(1\)&lt;\/script&gt;<\/bdi>/)
  assert.match(body, /<bdi>&lt;b&gt;&amp;&quot;&#39;<\/bdi>/)
})

test('bytes that are no text, and subjects of any length', async (t) => {
  const root = await temporaryFolder(t)
  const path = await makeRepository(root, 'app.git', { commits: 0 })
  const input = Buffer.concat([
    commit(Buffer.from([0x41, 0xff, 0xfe]), Buffer.from([0x66, 0xc3, 0x28, 0x07, 0x1b, 0x5b])),
    commit(Buffer.from('Long'), Buffer.from('word '.repeat(400_000))),
    commit(Buffer.from('L'.repeat(5_000)), Buffer.from('\u202e desrever')),
    commit(Buffer.from('None'), Buffer.alloc(0))
  ])
  await git(['fast-import', '--quiet'], { cwd: path, input })
  const { app } = await startPages(t, { root })
  const { statusCode, body } = await app.inject('/app.git/')
  assert.equal(statusCode, 200)
  assert.doesNotMatch(body, /git could not read/)
  assert.match(body, /<bdi>f\ufffd\(\ufffd\ufffd\[<\/bdi>/)
  assert.match(body, /<bdi>\u202e desrever<\/bdi>/)
  assert.match(body, /\(no subject\)/)
  assert.ok(body.length < 20_000, `${body.length} characters`)
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(body, /[\0-\x08\x0e-\x1f]/)
})

test('refs that a fetch does not show are on no page, nor their commits', async (t) => {
  const root = await temporaryFolder(t)
  const path = await makeRepository(root, 'app.git', { commits: 2 })
  const secret = await git(['commit-tree', '-p', 'main', '-m', 'secret plans', 'main^{tree}'], { cwd: path, env: { GIT_COMMITTER_DATE: '2030-01-01T00:00:00Z' } })
  await git(['update-ref', 'refs/heads/secret/one', secret], { cwd: path })
  await git(['tag', 'covert', secret], { cwd: path })
  await git(['config', '--add', 'uploadpack.hideRefs', 'refs/heads/secret'], { cwd: path })
  await git(['config', '--add', 'transfer.hideRefs', 'refs/tags'], { cwd: path })
  await git(['symbolic-ref', 'HEAD', 'refs/heads/secret/one'], { cwd: path })
  const { app } = await startPages(t, { root })
  for (const url of ['/', '/app.git/']) {
    const { body } = await app.inject(url)
    assert.doesNotMatch(body, /secret plans|covert|2030|secret\/one/, url)
  }
  assert.match((await app.inject('/app.git/')).body, /<bdi>commit 2<\/bdi>/)
})

test('the server\'s own settings hide refs as well', async (t) => {
  const root = await temporaryFolder(t)
  const path = await makeRepository(root, 'app.git', { commits: 2 })
  await git(['branch', 'secret', 'main'], { cwd: path })
  const { app } = await startPages(t, { root, git: { config: { 'transfer.hideRefs': 'refs/heads/secret' } } })
  assert.doesNotMatch((await app.inject('/app.git/')).body, /secret/)
})

test('no file outside the repository is shown, and no program that it names is run', async (t) => {
  const root = await temporaryFolder(t)
  const outside = join(await temporaryFolder(t), 'outside')
  await writeFile(outside, 'outside words\n')
  const path = await makeRepository(root, 'app.git', { commits: 2 })
  await rm(join(path, 'description'), { force: true })
  await symlink(outside, join(path, 'description'))
  const trap = `touch ${join(root, 'trapped')}`
  for (const [key, value] of [['core.pager', trap], ['log.showSignature', 'true'], ['gpg.program', trap], ['core.fsmonitor', trap], ['core.alternateRefsCommand', trap]] as const) {
    await git(['config', key, value], { cwd: path })
  }
  const { app } = await startPages(t, { root })
  assert.doesNotMatch((await app.inject('/')).body, /outside words/)
  assert.doesNotMatch((await app.inject('/app.git/')).body, /outside words/)
  await assert.rejects(rm(join(root, 'trapped')), { code: 'ENOENT' })
})

test('a broken repository does not break the list', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'good.git')
  const broken = await makeRepository(root, 'broken.git')
  await rm(join(broken, 'objects'), { recursive: true })
  await mkdir(join(broken, 'objects'))
  const odd = await makeRepository(root, 'odd.git')
  await writeFile(join(odd, 'config'), '[core\n')
  const { app } = await startPages(t, { root })
  const { statusCode, body } = await app.inject('/')
  assert.equal(statusCode, 200)
  for (const name of ['good', 'broken', 'odd']) assert.match(body, new RegExp(`<bdi>${name}<span`))
  assert.equal((await app.inject('/broken.git/')).statusCode, 200)
  assert.match((await app.inject('/odd.git/')).body, /git could not tell/)
})

test('addresses that lead out of root or to no repository are not there', async (t) => {
  const folder = await temporaryFolder(t)
  await makeRepository(folder, 'outside.git')
  const root = join(folder, 'root')
  const path = await makeRepository(root, 'app.git')
  await git(['worktree', 'add', '--quiet', join(folder, 'tree')], { cwd: path }).catch(() => {})
  const { url } = await startPages(t, { root }, { listen: true })
  const port = Number(new URL(url).port)
  for (const target of ['/../outside.git/', '/..%2foutside.git/', '/app.git/objects/', '/app.git/worktrees/tree/', '/app.git/config', '/%00/', '//', '/-/', '/-/nothing', '/%ff/', `/${'a'.repeat(5000)}/`]) {
    const { status, text } = await getRaw(port, target)
    assert.ok([302, 400, 404].includes(status), `${target}: ${status}`)
    assert.ok(!text.includes(folder), target)
  }
})

test('a Host header that is none is in no clone line', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const { app } = await startPages(t, { root })
  for (const host of ['a"b', 'x;reboot', 'a/b', 'user@evil', '$(id)']) {
    assert.match((await app.inject({ url: '/', headers: { host } })).body, /git clone http:\/\/localhost\/app\.git</, host)
  }
  assert.match((await app.inject({ url: '/', headers: { host: '[::1]:8080' } })).body, /git clone &#39;http:\/\/\[::1\]:8080\/app\.git&#39;</)
})
