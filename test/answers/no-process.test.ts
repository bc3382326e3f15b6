import assert from 'node:assert/strict'
import { stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { GitHttpOptions } from '../../lib/index.ts'
import { askOurs, assertSame } from '../differential/helpers.ts'
import type { Exchange } from '../fixtures/http-backend.ts'
import { git } from '../fixtures/git.ts'
import { eventually } from '../fixtures/processes.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'
import { countedGit, discovery, lsRefs, probe, warmExchanges } from './helpers.ts'

const PUSHABLE = { publicWrite: true }
/** Milliseconds within which the clock of a file system goes on. */
const CLOCK_STEP = 50

test('what is known is answered without a process, whoever asks how often', async (t) => {
  const { folder, git, started } = await countedGit(t)
  await makeRepository(folder, 'app.git', { commits: 3 })
  const { port } = await startServer(t, { root: folder, git, ...PUSHABLE })
  const exchanges = warmExchanges('app.git')
  const plain = exchanges.at(-1) as Exchange
  exchanges.push({ ...plain, headers: { ...plain.headers, 'content-encoding': 'gzip' }, body: gzipSync(plain.body ?? '') })
  const cold = []
  for (const exchange of exchanges) cold.push(await askOurs(port, exchange))
  assert.deepEqual(await started(), [
    'config --list', 'config --system --edit',
    ...Array(3).fill('receive-pack --advertise-refs'), 'upload-pack', ...Array(3).fill('upload-pack --advertise-refs')
  ])
  for (let round = 0; round < 3; round++) {
    for (const [i, exchange] of exchanges.entries()) {
      const warm = await askOurs(port, exchange)
      assert.equal(warm.status, 200)
      assert.deepEqual(warm.body, cold[i]?.body, exchange.target)
    }
  }
  assert.deepEqual(await started(), [])
})

test('HEAD requests start nothing once the config is known', async (t) => {
  const { folder, git, started } = await countedGit(t)
  await makeRepository(folder, 'app.git')
  const { port } = await startServer(t, { root: folder, git, ...PUSHABLE })
  for (const expected of [['config --list', 'config --system --edit'], []]) {
    for (const exchange of warmExchanges('app.git').filter(({ method = 'GET' }) => method === 'GET')) {
      const { status, body } = await askOurs(port, { ...exchange, method: 'HEAD' })
      assert.equal(status, 200)
      assert.equal(body.length, 0)
    }
    assert.deepEqual(await started(), expected)
  }
})

/** What git has to be asked every time: how to get there, the request, and what is started for it. */
const UNKNOWABLE: Record<string, { prepare?: (path: string) => Promise<unknown>, exchange: Exchange, options?: Partial<GitHttpOptions>, starts: string[] }> = {
  'a session id': { prepare: async (path) => await set(path, 'transfer.advertiseSID', 'true'), exchange: discovery('app.git', 'upload-pack', 'version=2'), starts: ['upload-pack --advertise-refs'] },
  'a session id in v0': { prepare: async (path) => await set(path, 'transfer.advertiseSID', 'yes'), exchange: discovery('app.git', 'receive-pack'), starts: ['receive-pack --advertise-refs'] },
  'the nonce of a push certificate': { prepare: async (path) => await set(path, 'receive.certNonceSeed', 'secret'), exchange: discovery('app.git', 'receive-pack'), starts: ['receive-pack --advertise-refs'] },
  'what a lender has': { prepare: async (path) => await writeFile(join(path, 'objects/info/alternates'), `${join(path, '../other.git/objects')}\n`), exchange: discovery('app.git', 'receive-pack'), starts: ['receive-pack --advertise-refs'] },
  'an environment of the host\'s': { options: { environment: () => ({ LANG: 'C' }) }, exchange: discovery('app.git', 'upload-pack'), starts: ['upload-pack --advertise-refs'] },
  'an environment of the host\'s, for a listing': { options: { environment: () => ({ LANG: 'C' }) }, exchange: lsRefs('app.git', []), starts: ['upload-pack'] },
  'a protocol with more in it': { exchange: discovery('app.git', 'upload-pack', 'version=2:version=1'), starts: ['upload-pack --advertise-refs'] },
  'a protocol of the future': { exchange: discovery('app.git', 'upload-pack', 'version=9'), starts: ['upload-pack --advertise-refs'] },
  'an unknown argument': { exchange: lsRefs('app.git', ['sort']), starts: ['upload-pack'] },
  'an unknown capability': { exchange: lsRefs('app.git', [], { capabilities: ['server-option=x'] }), starts: ['upload-pack'] },
  'another object format': { exchange: lsRefs('app.git', [], { capabilities: ['object-format=sha256'] }), starts: ['upload-pack'] },
  'a NUL': { exchange: lsRefs('app.git', ['ref-prefix refs/\0x']), starts: ['upload-pack'] },
  'an unborn HEAD that is ignored': { prepare: async (path) => await set(path, 'lsrefs.unborn', 'ignore'), exchange: lsRefs('app.git', ['unborn']), starts: ['upload-pack'] },
  'a reftable': { prepare: async (path) => await set(path, 'extensions.refStorage', 'reftable'), exchange: discovery('app.git', 'upload-pack'), starts: ['upload-pack --advertise-refs'] },
  'a listing of a reftable': { prepare: async (path) => await set(path, 'extensions.refStorage', 'reftable'), exchange: lsRefs('app.git', []), starts: ['upload-pack'] },
  'v2 of a reftable': { prepare: async (path) => await set(path, 'extensions.refStorage', 'reftable'), exchange: discovery('app.git', 'upload-pack', 'version=2'), starts: ['upload-pack --advertise-refs'] },
  'a ref that is a symlink': { prepare: async (path) => await symlink('main', join(path, 'refs/heads/link')), exchange: lsRefs('app.git', []), starts: ['upload-pack'] },
  'remembering nothing': { options: { cache: { answers: false } }, exchange: discovery('app.git', 'upload-pack', 'version=2'), starts: ['upload-pack --advertise-refs'] },
  'remembering no listing': { options: { cache: { answers: false } }, exchange: lsRefs('app.git', []), starts: ['upload-pack'] }
}

for (const [what, { prepare, exchange, options, starts }] of Object.entries(UNKNOWABLE)) {
  test(`git is asked every time: ${what}`, async (t) => {
    const { folder, git, started } = await countedGit(t)
    await makeRepository(folder, 'other.git', { commits: 2 })
    const path = await makeRepository(folder, 'app.git', { commits: 2 })
    await prepare?.(path)
    const { port } = await startServer(t, { root: folder, git, ...PUSHABLE, ...options })
    const first = await askOurs(port, exchange)
    await started()
    for (let i = 0; i < 3; i++) {
      assert.equal((await askOurs(port, exchange)).status, first.status)
      assert.deepEqual(await started(), starts)
    }
  })
}

test('and a session id or a nonce is a new one every time', async (t) => {
  const { folder, git } = await countedGit(t)
  const path = await makeRepository(folder, 'app.git')
  await set(path, 'transfer.advertiseSID', 'true')
  const { port } = await startServer(t, { root: folder, git, ...PUSHABLE })
  const ids = new Set<string>()
  for (let i = 0; i < 3; i++) ids.add(/session-id=\S+/.exec((await askOurs(port, discovery('app.git', 'upload-pack', 'version=2'))).body.toString())?.[0] ?? '')
  assert.equal(ids.size, 3)
})

test('a client\'s session id is git\'s to take or to refuse', async (t) => {
  const { folder, git } = await countedGit(t)
  await makeRepository(folder, 'app.git')
  const { port } = await startServer(t, { root: folder, git })
  const exchange = lsRefs('app.git', [], { capabilities: ['session-id=mine'] })
  const { status } = await askOurs(port, exchange)
  assert.equal(status, (await askOurs(port, lsRefs('app.git', [], { capabilities: ['unknown=mine'] }))).status)
})

test('fifty clients that ask at the same time start one process of a kind', async (t) => {
  const { folder, git, started } = await countedGit(t)
  await makeRepository(folder, 'app.git', { commits: 3 })
  const { port } = await startServer(t, { root: folder, git, ...PUSHABLE })
  const kinds = [discovery('app.git', 'upload-pack'), discovery('app.git', 'upload-pack', 'version=2'), discovery('app.git', 'receive-pack')]
  const listings = Array.from({ length: 10 }, (_, i) => lsRefs('app.git', [`ref-prefix refs/heads/${i}`]))
  const asked = Array.from({ length: 50 }, (_, i) => [...kinds, listings[i % 10] as Exchange]).flat()
  const answers = await Promise.all(asked.map(async (exchange) => await askOurs(port, exchange)))
  assert.ok(answers.every(({ status }) => status === 200))
  assert.deepEqual(await started(), [
    'config --list', 'config --system --edit', 'receive-pack --advertise-refs', 'upload-pack', 'upload-pack --advertise-refs', 'upload-pack --advertise-refs'
  ])
})

test('a change costs one process, and none for what it does not touch', async (t) => {
  const { folder, git: counted, started } = await countedGit(t)
  const path = await makeRepository(folder, 'app.git', { commits: 3 })
  await makeRepository(folder, 'other.git')
  const { port } = await startServer(t, { root: folder, git: counted, ...PUSHABLE })
  for (const name of ['app.git', 'other.git']) for (const exchange of warmExchanges(name)) await askOurs(port, exchange)
  await started()
  await git(['update-ref', 'refs/heads/main', 'main~1'], { cwd: path })
  // While the file system's clock may still show the time of the change, every answer is a new one.
  const { ctimeMs } = await stat(join(path, 'refs/heads'))
  await eventually(async () => Date.now() - ctimeMs > CLOCK_STEP, 5_000, 'the clock goes on')
  await assertSame(port, folder, discovery('app.git', 'upload-pack'))
  await assertSame(port, folder, lsRefs('app.git', ['peel']))
  await assertSame(port, folder, lsRefs('app.git', ['symrefs']))
  assert.deepEqual(await started(), ['upload-pack', 'upload-pack --advertise-refs'])
  // What a repository can do does not depend on its refs.
  await assertSame(port, folder, discovery('app.git', 'upload-pack', 'version=2'))
  for (const exchange of warmExchanges('other.git')) await askOurs(port, exchange)
  await askOurs(port, probe('app.git'))
  assert.deepEqual(await started(), [])
})

async function set (path: string, key: string, value: string): Promise<unknown> {
  return await git(['config', key, value], { cwd: path })
}
