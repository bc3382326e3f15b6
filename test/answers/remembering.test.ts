import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { hashPassword } from '../../lib/access/password.ts'
import type { Verdict } from '../../lib/index.ts'
import { askOurs, assertSame, fetchRequest, packet } from '../differential/helpers.ts'
import { git } from '../fixtures/git.ts'
import type { Answer, Exchange } from '../fixtures/http-backend.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { countedGit, discovery, lsRefs, probe, warmExchanges } from './helpers.ts'

const basic = (user: string): Record<string, string> => ({ authorization: `Basic ${Buffer.from(`${user}:secret`).toString('base64')}` })
const as = (user: string | null, exchange: Exchange): Exchange => user === null ? exchange : { ...exchange, headers: { ...exchange.headers, ...basic(user) } }

/** What a client sees of an answer. */
function seen ({ status, headers, body }: Answer): object {
  const { date, ...rest } = headers
  return { status, rest, body: body.toString('latin1') }
}

test('who may not read gets the same refusal as if nothing were remembered', async (t) => {
  const { folder, git, started } = await countedGit(t)
  await makeRepository(folder, 'app.git', { commits: 3 })
  const verdicts: Record<string, Verdict> = { reader: true, stranger: false, blind: 'hide', limited: { allow: false, reason: 'slow down', status: 429 } }
  let asked = 0
  const options = {
    root: folder,
    git,
    authenticate: ({ username }: { username: string }) => username === 'nobody' ? null : username,
    authorize: ({ user }: { user: string | null }): Verdict => { asked++; return user === null ? false : verdicts[user] ?? false }
  }
  const [cold, warm] = [await startServer(t, options), await startServer(t, options)]
  const exchanges = warmExchanges('app.git')
  for (const exchange of exchanges) for (let i = 0; i < 3; i++) assert.equal((await askOurs(warm.port, as('reader', exchange))).status, 200)
  await started()
  const expected: Array<[string | null, number]> = [[null, 401], ['nobody', 401], ['stranger', 403], ['blind', 404], ['limited', 429]]
  for (const [user, status] of expected) {
    for (const exchange of exchanges) {
      const before = asked
      const [theirs, ours] = [await askOurs(cold.port, as(user, exchange)), await askOurs(warm.port, as(user, exchange))]
      assert.deepEqual(seen(ours), seen(theirs))
      // On a POST a known user is told in git's protocol.
      assert.ok(ours.status === status || (exchange.method === 'POST' && ours.status === 200), `${user}: ${ours.status}`)
      assert.ok(!ours.body.includes('refs/heads'))
      assert.equal(asked - before, user === 'nobody' ? 0 : 2)
    }
  }
  assert.deepEqual(await started(), [])
})

test('rights that are taken away hold for the next answer', async (t) => {
  const { folder, git } = await countedGit(t)
  await makeRepository(folder, 'app.git')
  const accessFile = join(folder, 'access.ini')
  const write = async (rights: string): Promise<void> => await writeFile(accessFile, `[users]\nann = ${await hashPassword('secret')}\n[access]\nann = ${rights}\n`)
  await write('app=r')
  const { port } = await startServer(t, { root: folder, git, accessFile, publicRead: false })
  const ask = async (): Promise<number> => (await askOurs(port, as('ann', discovery('app.git', 'upload-pack', 'version=2')))).status
  assert.deepEqual([await ask(), await ask()], [200, 200])
  await write('other=rw')
  assert.equal(await ask(), 404)
})

test('neither a repository nor a namespace gets the answer of another', async (t) => {
  const root = await temporaryFolder(t)
  for (const [i, name] of ['a.git', 'b.git', 'c.git'].entries()) {
    const path = await makeRepository(root, name, { commits: i + 1 })
    for (const space of ['one', 'two']) await git(['update-ref', `refs/namespaces/${space}/refs/heads/of-${space}`, 'main'], { cwd: path })
  }
  const { port } = await startServer(t, { root, namespace: (_, { headers }) => headers['x-namespace'] as string | undefined, publicWrite: true })
  const exchanges = ['a.git', 'b.git', 'c.git'].flatMap((name) => [discovery(name, 'upload-pack'), discovery(name, 'upload-pack', 'version=2'), lsRefs(name, ['peel', 'symrefs'])])
  for (let round = 0; round < 3; round++) {
    await Promise.all(exchanges.flatMap((exchange) => ['', 'one', 'two', 'three'].map(async (space) => {
      const env: Record<string, string> = space === '' ? {} : { GIT_NAMESPACE: space }
      await assertSame(port, root, { ...exchange, headers: { ...exchange.headers, 'x-namespace': space } }, env)
    })))
  }
})

test('little memory: every answer is right, the oldest are asked for again', async (t) => {
  const { folder, git: counted, started } = await countedGit(t)
  const names = ['a.git', 'b.git', 'c.git']
  for (const name of names) {
    const path = await makeRepository(folder, name)
    await git(['update-ref', '--stdin'], { cwd: path, input: Array.from({ length: 20 }, (_, i) => `create refs/heads/of-${name}-${i} main\n`).join('') })
  }
  const ask = async (port: number, name: string): Promise<number> => {
    await assertSame(port, folder, discovery(name, 'upload-pack'))
    return (await started()).filter((kind) => kind.startsWith('upload-pack')).length
  }
  // One advertisement here has about 1,500 bytes.
  const { port } = await startServer(t, { root: folder, git: counted, cache: { answers: { maxBytes: 4_000 } } })
  const counts = []
  for (const name of [...names, 'c.git', 'b.git', 'a.git']) counts.push(await ask(port, name))
  assert.deepEqual(counts, [1, 1, 1, 0, 0, 1])
  const tiny = await startServer(t, { root: folder, git: counted, cache: { answers: { maxBytes: 1_000 } } })
  assert.deepEqual([await ask(tiny.port, 'a.git'), await ask(tiny.port, 'a.git')], [1, 1])
})

test('compressed for those who take it, and only where it is worth it', async (t) => {
  const root = await temporaryFolder(t)
  const path = await makeRepository(root, 'app.git', { commits: 20 })
  await git(['update-ref', '--stdin'], { cwd: path, input: Array.from({ length: 200 }, (_, i) => `create refs/heads/branch-${i} main\n`).join('') })
  await makeRepository(root, 'small.git')
  const before = { before: (app: { addHook: (name: 'onRequest', hook: (request: unknown, reply: { header: (name: string, value: string) => unknown }) => Promise<void>) => unknown }) => app.addHook('onRequest', async (_, reply) => { reply.header('vary', 'Origin') }) }
  const { port } = await startServer(t, { root, publicWrite: true }, before as never)
  const ask = async (exchange: Exchange, accepted?: string): Promise<Answer> =>
    await askOurs(port, accepted === undefined ? exchange : { ...exchange, headers: { ...exchange.headers, 'accept-encoding': accepted } })
  for (const exchange of [discovery('app.git', 'upload-pack'), discovery('app.git', 'receive-pack'), lsRefs('app.git', ['peel'])]) {
    const plain = await ask(exchange)
    let answers = 0
    while ((await ask(exchange, 'gzip')).headers['content-encoding'] === undefined) assert.ok(++answers < 100, 'compressed after some answers')
    for (const accepted of ['gzip', 'x-gzip', 'deflate, gzip, br, zstd', 'gzip;q=0.5', 'GZIP ; q=1', 'gzip;q=1.0', 'br;q=1.0, gzip;q=0.8, *;q=0.1', 'gzip;q=1.000']) {
      const { headers, body } = await ask(exchange, accepted)
      assert.equal(headers['content-encoding'], 'gzip', accepted)
      assert.equal(headers['vary'], 'Origin, Accept-Encoding')
      assert.ok(body.length < plain.body.length / 3)
      assert.deepEqual(gunzipSync(body), plain.body)
    }
    for (const accepted of [undefined, '', 'identity', 'br', 'deflate, br', 'gzip;q=0', 'gzip; q=0.000', 'x-gzip;q=0', 'gzipped', 'not-gzip', 'gzip;q=0, *']) {
      const { headers, body } = await ask(exchange, accepted)
      assert.equal(headers['content-encoding'], undefined, accepted)
      assert.equal(headers['vary'], 'Origin', accepted)
      assert.deepEqual(body, plain.body)
    }
  }
  const tip = await git(['rev-parse', 'main'], { cwd: path })
  const clone = { target: '/app.git/git-upload-pack', ...fetchRequest(`${packet('command=fetch')}0001${packet(`want ${tip}\n`)}${packet('done\n')}0000`, 'version=2') }
  for (let i = 0; i < 5; i++) {
    for (const exchange of [discovery('small.git', 'upload-pack'), discovery('app.git', 'upload-pack', 'version=2'), probe('app.git'), clone]) {
      const { status, headers } = await ask(exchange, 'gzip')
      assert.equal(status, 200)
      assert.equal(headers['content-encoding'], undefined, exchange.target)
    }
  }
})

test('a git that fails is not remembered', async (t) => {
  const folder = await temporaryFolder(t)
  const fails = join(folder, 'fails')
  const { git: counted, started } = await countedGit(t, `case " $* " in *upload-pack*) if [ -e '${fails}' ]; then echo half; exit 1; fi;; esac`)
  await makeRepository(folder, 'app.git', { commits: 2 })
  const { port } = await startServer(t, { root: folder, git: counted })
  await writeFile(fails, '')
  const exchanges = [discovery('app.git', 'upload-pack'), discovery('app.git', 'upload-pack', 'version=2'), lsRefs('app.git', [])]
  for (const exchange of [...exchanges, ...exchanges]) assert.equal((await askOurs(port, exchange)).status, 500)
  assert.equal((await started()).filter((kind) => kind.startsWith('upload-pack')).length, 6)
  await rm(fails)
  for (const exchange of exchanges) await assertSame(port, folder, exchange)
})

test('what git said with a warning is asked for again', async (t) => {
  const folder = await temporaryFolder(t)
  const warns = join(folder, 'warns')
  const { git: counted, started } = await countedGit(t, `if [ -e '${warns}' ]; then echo 'warning: something is broken' >&2; fi`)
  await makeRepository(folder, 'app.git', { commits: 2 })
  const { port } = await startServer(t, { root: folder, git: counted })
  const exchanges = [discovery('app.git', 'upload-pack'), discovery('app.git', 'upload-pack', 'version=2'), lsRefs('app.git', ['peel'])]
  const uploads = ['upload-pack', 'upload-pack --advertise-refs', 'upload-pack --advertise-refs']
  await writeFile(warns, '')
  for (const expected of [uploads, uploads]) {
    for (const exchange of exchanges) await assertSame(port, folder, exchange)
    assert.deepEqual((await started()).filter((kind) => kind.startsWith('upload-pack')), expected)
  }
  await rm(warns)
  for (const expected of [uploads, []]) {
    for (const exchange of exchanges) await assertSame(port, folder, exchange)
    assert.deepEqual((await started()).filter((kind) => kind.startsWith('upload-pack')), expected)
  }
})

test('a tag whose object arrives after its ref, as rsync may copy them, is peeled from then on', async (t) => {
  const root = await temporaryFolder(t)
  const path = await makeRepository(root, 'app.git', { commits: 2 })
  const tag = `object ${await git(['rev-parse', 'main'], { cwd: path })}\ntype commit\ntag v1\ntagger Ann <ann@example.org> 1 +0000\n\none\n`
  const id = await git(['hash-object', '-t', 'tag', '--stdin'], { cwd: path, input: tag })
  await writeFile(join(path, 'refs/tags/v1'), `${id}\n`)
  const { port } = await startServer(t, { root })
  const exchanges = [discovery('app.git', 'upload-pack'), lsRefs('app.git', ['peel'])]
  for (const exchange of exchanges) await assertSame(port, root, exchange)
  await git(['hash-object', '-t', 'tag', '-w', '--stdin'], { cwd: path, input: tag })
  for (const exchange of exchanges) await assertSame(port, root, exchange)
})
