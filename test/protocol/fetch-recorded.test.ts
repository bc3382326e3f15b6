import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { cleanProtocol, protocolVersion } from '../../lib/protocol/capabilities.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { askHttpBackend } from '../fixtures/http-backend.ts'
import { history, makeRepository } from '../fixtures/repository.ts'
import { type Outcome, parse } from './fetch-helpers.ts'

interface Recorder {
  url: string
  /** All requests to git-upload-pack since the last call, but those of another command. */
  taken(): Outcome[]
  gzipped: number
}

/** A web server in front of `git http-backend` that parses what git's own client sends. */
async function record (t: TestContext, root: string): Promise<Recorder> {
  let outcomes: Outcome[] = []
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await buffer(request)
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
    if (request.method === 'POST') {
      const gzip = headers['content-encoding'] === 'gzip'
      const plain = gzip ? gunzipSync(body) : body
      const version = protocolVersion(cleanProtocol(headers['git-protocol']))
      if (!plain.includes('command=ls-refs')) {
        if (gzip) recorder.gzipped++
        const outcome = parse(version, plain)
        assert.deepEqual(parse(version, plain, [1, 7, 30]), outcome)
        outcomes.push(outcome)
      }
    }
    const told = await askHttpBackend(root, { method: request.method as 'GET' | 'POST', target: request.url ?? '', headers, body })
    response.writeHead(told.status, told.headers).end(told.body)
  }
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error as Error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const { port } = server.address() as { port: number }
  const recorder: Recorder = {
    url: `http://127.0.0.1:${port}`,
    gzipped: 0,
    taken: () => {
      const taken = outcomes
      outcomes = []
      assert.ok(taken.length > 0)
      for (const { state } of taken) assert.deepEqual(state, { state: 'complete' })
      return taken
    }
  }
  return recorder
}

const [VERSIONS, FORMATS] = [[0, 1, 2] as const, ['sha1', 'sha256'] as const]
const last = (outcomes: Outcome[]): Outcome => outcomes.at(-1) ?? assert.fail()

async function makeServed (t: TestContext, format: string): Promise<{ folder: string, served: string, recorder: Recorder }> {
  const folder = await temporaryFolder(t)
  const served = await makeRepository(folder, 'app.git', { commits: 30, init: [`--object-format=${format}`] })
  await git(['tag', '-a', '-m', 'one', 'v1', 'main~20'], { cwd: served })
  for (const name of ['uploadpack.allowFilter', 'uploadpack.allowAnySHA1InWant']) await git(['config', name, 'true'], { cwd: served })
  return { folder, served, recorder: await record(t, folder) }
}

for (const format of FORMATS) {
  for (const version of VERSIONS) {
    test(`what git's client sends is understood: version ${version}, ${format}`, async (t) => {
      const { folder, served, recorder } = await makeServed(t, format)
      const url = `${recorder.url}/app.git`
      const client = async (...args: string[]): Promise<Outcome[]> => {
        await git(['-c', `protocol.version=${version}`, ...args], { cwd: folder })
        return recorder.taken()
      }
      const tip = await git(['rev-parse', 'main'], { cwd: served })

      const cloned = last(await client('clone', '-q', url, 'full'))
      assert.ok(cloned.request.wants.includes(tip))
      assert.deepEqual([cloned.request.protocol, cloned.request.objectFormat, cloned.request.haves, cloned.request.done, cloned.dependsOn], [version, format, 0, true, version === 2 ? 'nothing' : 'refs'])
      assert.match(cloned.request.agent ?? '', /^git\//)
      assert.match(cloned.digest ?? '', /^[0-9a-f]{64}$/)
      assert.equal(last(await client('clone', '-q', url, 'again')).digest, cloned.digest)

      const shallow = last(await client('clone', '-q', '--depth=3', url, 'shallow'))
      // Version 2 wants what HEAD and its branch are at twice.
      assert.deepEqual([shallow.request.depth, [...new Set(shallow.request.wants)], shallow.request.deepenRelative], [3, [tip], false])
      assert.notEqual(shallow.digest, null)
      const deepened = last(await client('-C', 'shallow', 'fetch', '-q', '--deepen=2'))
      assert.deepEqual([deepened.request.depth, deepened.request.deepenRelative, deepened.request.shallows > 0, deepened.dependsOn], [2, true, true, 'refs'])
      const unshallowed = (await client('-C', 'shallow', 'fetch', '-q', '--unshallow'))[0] ?? assert.fail()
      assert.deepEqual([unshallowed.request.depth, unshallowed.request.shallows], [2147483647, 1])

      assert.equal(last(await client('clone', '-q', '--shallow-since=@1700000015 +0000', url, 'since')).request.deepenSince, 1_700_000_015)
      const excluded = last(await client('clone', '-q', '--shallow-exclude=v1', url, 'exclude'))
      assert.deepEqual([excluded.request.deepenNot, excluded.dependsOn], [['v1'], 'refs'])

      const partial = await client('clone', '-q', '--filter=blob:none', url, 'partial')
      assert.equal(partial[0]?.request.filter, 'blob:none')
      // The checkout then asks for the blobs themselves.
      assert.ok(partial.length >= 2 && last(partial).request.wants.length > 1)
      assert.equal((await client('clone', '-q', '--no-checkout', '--filter=blob:limit=1k', '--filter=tree:2', url, 'filters'))[0]?.request.filter, 'combine:blob:limit=1k+tree:2')
      assert.equal((await client('clone', '-q', '--no-checkout', '--filter=sparse:oid=main:file-1.txt', url, 'sparse'))[0]?.dependsOn, 'refs')

      // Both sides go on: the client has what the server does not know, over several requests.
      await git(['fast-import', '--quiet'], { cwd: join(folder, 'full'), input: history('refs/heads/local', 200) })
      await git(['fast-import', '--quiet'], { cwd: served, input: history('refs/heads/more', 3) })
      const rounds = await client('-C', 'full', 'fetch', '-q')
      const haves = rounds.map(({ request }) => request.haves)
      assert.ok(haves.length > 1 && Math.min(...haves) > 0 && Math.max(...haves) > 16, `haves: ${haves.join()}`)
      assert.deepEqual(rounds.map(({ digest }) => digest === null), rounds.map(() => version < 2))
      assert.notEqual(recorder.gzipped, 0)
    })
  }
}

for (const version of VERSIONS) {
  test(`a request that is sent in chunks, and the probe before it: version ${version}`, async (t) => {
    const { folder, served, recorder } = await makeServed(t, 'sha1')
    const commits = (await git(['rev-list', 'main'], { cwd: served })).split('\n')
    const input = Array.from({ length: 1_500 }, (_, i) => `create refs/tags/t${i} ${commits[i % commits.length]}\n`).join('')
    await git(['update-ref', '--stdin'], { cwd: served, input })
    await git(['-c', `protocol.version=${version}`, '-c', 'http.postBuffer=65536', 'clone', '-q', `${recorder.url}/app.git`], { cwd: folder })
    // Version 2 probes twice.
    const all = recorder.taken()
    const [probe, clone] = [all[0], last(all)]
    assert.deepEqual([probe?.request.wants, probe?.digest], [[], null])
    assert.ok((clone?.request.wants.length ?? 0) > 1_500)
  })
}

test('refs, server options, session ids and bare negotiations of v2', async (t) => {
  const { folder, served, recorder } = await makeServed(t, 'sha1')
  await git(['config', 'uploadpack.allowRefInWant', 'true'], { cwd: served })
  await git(['config', 'transfer.advertiseSID', 'true'], { cwd: served })
  const url = `${recorder.url}/app.git`
  const client = async (...args: string[]): Promise<Outcome> => {
    await git(['-c', 'protocol.version=2', ...args], { cwd: folder })
    return last(recorder.taken())
  }
  const cloned = await client('-c', 'transfer.advertiseSID=true', 'clone', '-q', url, 'full')
  assert.deepEqual([cloned.request.wantRefs.includes('refs/heads/main'), cloned.dependsOn], [true, 'refs'])
  assert.notEqual(cloned.request.sessionId, undefined)
  assert.equal((await client('clone', '-q', url, 'other')).digest, cloned.digest)
  const optioned = await client('clone', '-q', '--server-option=a=b', '--server-option=c', url, 'optioned')
  assert.deepEqual([optioned.request.serverOptions, optioned.digest], [['a=b', 'c'], null])
  const negotiated = await client('-C', 'full', 'fetch', '-q', '--negotiate-only', '--negotiation-tip=main', 'origin')
  assert.deepEqual([negotiated.request.wants, negotiated.request.capabilities.includes('wait-for-done'), negotiated.request.haves > 0], [[], true, true])
})
