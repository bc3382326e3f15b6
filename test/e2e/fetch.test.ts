import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { history, makeRepository } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'

for (const version of ['0', '1', '2']) {
  test(`protocol v${version}: clone and fetch bring every commit, and the clone passes fsck`, async (t) => {
    const root = await temporaryFolder(t)
    const served = await makeRepository(root, 'app.git', { commits: 30 })
    const { url } = await startServer(t, { root })
    const clone = join(root, 'clone')
    const options = { cwd: clone, env: { GIT_TRACE_PACKET: join(root, 'trace') } }

    await git(['-c', `protocol.version=${version}`, 'clone', '--quiet', `${url}/app.git`, clone], { env: options.env })
    await git(['fast-import', '--quiet'], { cwd: served, input: history('refs/heads/topic', 5) })
    await git(['-c', `protocol.version=${version}`, 'fetch', '--quiet'], options)

    assert.equal(await git(['rev-parse', 'origin/topic'], options), await git(['rev-parse', 'topic'], { cwd: served }))
    assert.equal(await git(['rev-list', '--count', 'origin/main'], options), '30')
    await git(['fsck', '--strict'], options)
    const trace = await readFile(options.env.GIT_TRACE_PACKET, 'utf8')
    assert.equal(trace.includes(`< version ${version}`), version !== '0', 'the server speaks the version that was asked for')
  })
}

test('a repository is found with and without .git, and a working copy by its folder', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'team/app.git')
  await git(['clone', '--quiet', join(root, 'team/app.git'), join(root, 'work')])
  const { url } = await startServer(t, { root, prefix: '/git' })
  for (const name of ['team/app', 'team/app.git', 'work', 'work.git']) {
    const result = await tryGit(['ls-remote', `${url}/${name}`, 'refs/heads/main'])
    if (name === 'work.git') assert.match(result.stderr, /not found/)
    else assert.match(result.stdout, /refs\/heads\/main/, name)
  }
})

test('shallow, deepened and unshallowed clones', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git', { commits: 20 })
  const { url } = await startServer(t, { root })
  const clone = { cwd: join(root, 'clone') }

  await git(['clone', '--quiet', '--depth=1', `${url}/app.git`, clone.cwd])
  assert.equal(await git(['rev-list', '--count', 'HEAD'], clone), '1')
  await git(['fetch', '--quiet', '--deepen=4'], clone)
  assert.equal(await git(['rev-list', '--count', 'HEAD'], clone), '5')
  await git(['fetch', '--quiet', '--unshallow'], clone)
  assert.equal(await git(['rev-list', '--count', 'HEAD'], clone), '20')
})

test('a partial clone leaves blobs out and gets them when they are needed', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git', { commits: 12 })
  await git(['config', 'uploadpack.allowFilter', 'true'], { cwd: served })
  const { url } = await startServer(t, { root })
  const clone = { cwd: join(root, 'clone') }

  await git(['clone', '--quiet', '--no-checkout', '--filter=blob:none', `${url}/app.git`, clone.cwd])
  assert.match(await git(['rev-list', '--objects', '--missing=print', 'HEAD'], clone), /^\?[0-9a-f]{40}$/m)
  await git(['checkout', '--quiet', 'main'], clone)
  assert.equal(await git(['show', 'HEAD:file-2.txt'], clone), 'refs/heads/main 12')
})

test('a negotiation large enough to be gzipped', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git', { commits: 1 })
  const encodings: Array<string | undefined> = []
  const { url } = await startServer(t, { root }, {
    before: (app) => app.addHook('onRequest', async (request) => { encodings.push(request.headers['content-encoding']) })
  })
  const clone = { cwd: join(root, 'clone') }
  await git(['clone', '--quiet', `${url}/app.git`, clone.cwd])
  // Histories that the server does not know make the client send long lists of haves.
  for (let i = 0; i < 40; i++) await git(['fast-import', '--quiet'], { cwd: clone.cwd, input: history(`refs/heads/own-${i}`, 3) })
  await git(['fast-import', '--quiet'], { cwd: served, input: history('refs/heads/topic', 3) })

  await git(['fetch', '--quiet'], clone)
  assert.ok(encodings.includes('gzip'), 'the client sent a gzipped request')
  assert.equal(await git(['rev-list', '--count', 'origin/topic'], clone), '3')
})

test('an empty repository is cloned without an error', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'empty.git', { commits: 0 })
  const { url } = await startServer(t, { root })
  const { code, stderr } = await tryGit(['clone', `${url}/empty.git`, join(root, 'clone')])
  assert.equal(code, 0, stderr)
  assert.match(stderr, /appear to have cloned an empty repository/)
})

test('a SHA-256 repository, smart and dumb', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git', { commits: 3, init: ['--object-format=sha256'] })
  const { url } = await startServer(t, { root })
  await git(['clone', '--quiet', `${url}/app.git`, join(root, 'clone')])
  const id = await git(['rev-parse', 'HEAD'], { cwd: join(root, 'clone') })
  assert.equal(id.length, 64)

  await git(['repack', '-adq'], { cwd: served })
  const packs = await (await fetch(`${url}/app.git/objects/info/packs`)).text()
  const pack = /^P (pack-[0-9a-f]{64}\.pack)$/m.exec(packs)?.[1]
  const response = await fetch(`${url}/app.git/objects/pack/${pack}`)
  assert.equal(response.status, 200)
  assert.equal(Buffer.from(await response.arrayBuffer()).toString('latin1', 0, 4), 'PACK')
})

for (const state of ['loose', 'packed']) {
  test(`the dumb protocol clones ${state} objects, without update-server-info`, async (t) => {
    const root = await temporaryFolder(t)
    const served = await makeRepository(root, 'app.git', { commits: 5 })
    if (state === 'packed') await git(['repack', '-adq'], { cwd: served })
    const { url } = await startServer(t, { root })
    const clone = join(root, 'clone')
    await git(['clone', '--quiet', `${url}/app.git`, clone], { env: { GIT_SMART_HTTP: '0' } })
    assert.equal(await git(['rev-list', '--count', 'HEAD'], { cwd: clone }), '5')
    await git(['fsck'], { cwd: clone })
  })
}

test('a namespace shows its own refs and no others, smart and dumb', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git', { commits: 2 })
  await git(['update-ref', 'refs/namespaces/alpha/refs/heads/main', 'main'], { cwd: served })
  await git(['update-ref', 'refs/namespaces/alpha/refs/heads/topic', 'main~1'], { cwd: served })
  await git(['symbolic-ref', 'refs/namespaces/alpha/HEAD', 'refs/namespaces/alpha/refs/heads/topic'], { cwd: served })
  await git(['update-ref', 'refs/heads/secret', 'main'], { cwd: served })
  const { url } = await startServer(t, { root, namespace: () => 'alpha' })

  for (const GIT_SMART_HTTP of ['1', '0']) {
    const refs = await git(['ls-remote', '--symref', `${url}/app.git`], { env: { GIT_SMART_HTTP } })
    const names = refs.split('\n').map((line) => line.split('\t')[1])
    if (GIT_SMART_HTTP === '1') assert.ok(refs.startsWith('ref: refs/heads/topic\tHEAD'), refs)
    assert.deepEqual(names.filter((name) => name?.startsWith('refs/')), ['refs/heads/main', 'refs/heads/topic'], refs)
  }
  assert.equal(await (await fetch(`${url}/app.git/HEAD`)).text(), 'ref: refs/heads/topic\n')
})

test('"not our ref" reaches the client as git\'s own message', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const { url } = await startServer(t, { root })
  await git(['init', '--quiet', join(root, 'clone')])
  for (const version of ['0', '2']) {
    const { code, stderr } = await tryGit(['-c', `protocol.version=${version}`, 'fetch', `${url}/app.git`, '1'.repeat(40)], { cwd: join(root, 'clone') })
    assert.notEqual(code, 0)
    assert.match(stderr, /not our ref|unadvertised object/, stderr)
  }
})
