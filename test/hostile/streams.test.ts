/**
 * What the bytes of a POST go through (gunzip, the stages of the host) is destroyed whatever becomes of it, and what the client
 * still sends holds up neither its answer nor its next request. The idle timeout is far away: who waited for it would wait in vain.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request as open } from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import { PassThrough, type Stream } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import zlib, { gzipSync } from 'node:zlib'
import { BusyError, RefusedError } from '../../lib/errors.ts'
import type { GitHttpOptions } from '../../lib/index.ts'
import { Admission } from '../../lib/limits/admission.ts'
import { fetchV2, packets, DELIMITER, FLUSH } from '../fixtures/fetch-request.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { eventually } from '../fixtures/processes.ts'
import { OpenPost } from '../fixtures/raw-push.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { startServer, type TestServer } from '../fixtures/server.ts'
import { gitShim } from '../fixtures/shims.ts'
import { packet, ZERO } from './helpers.ts'

/** Long before drain() gives a sender up (30 s), and the idle timeout any other. */
const BOUND = { timeout: 20_000 }
const FAR = 600_000
/** More than all buffers on the way hold, and no smaller when it is compressed. */
const REST = randomBytes(4_000_000)
const ID = 'ab'.repeat(20)
const COMMANDS = Buffer.concat([packet(`${ZERO} ${ID} refs/heads/x\0 report-status`), Buffer.from('0000')])
const MANY_HAVES = Array.from({ length: 50_000 }, () => randomBytes(20).toString('hex'))

interface Scene extends TestServer {
  /** The tip of `app.git`. */
  tip: string
  /** Everything that bytes of a request or an answer went through so far. */
  streams: Record<'request' | 'response' | 'gunzip', Array<Stream & { closed: boolean, destroyed: boolean }>>
}

type Options = Omit<GitHttpOptions, 'root'> & { autoDestroy?: boolean, respond?: boolean }

/** A server with a stage in each direction; without the one for answers if `respond` is false. */
async function serve (t: TestContext, { autoDestroy = true, respond = true, hooks, limits, ...options }: Options = {}): Promise<Scene> {
  const root = await temporaryFolder(t)
  const app = await makeRepository(root, 'app.git', { commits: 3 })
  const streams: Scene['streams'] = { request: [], response: [], gunzip: [] }
  const kept = <T extends Scene['streams']['request'][number]> (way: keyof Scene['streams'], stream: T): T => {
    streams[way].push(stream)
    return stream
  }
  const { createGunzip } = zlib
  const mocked = t.mock.method(zlib, 'createGunzip', () => kept('gunzip', createGunzip()))
  syncBuiltinESMExports()
  t.after(() => { mocked.mock.restore(); syncBuiltinESMExports() })
  const server = await startServer(t, {
    root,
    publicWrite: true,
    ...options,
    limits: { idleTimeout: FAR, closeGrace: 100, ...limits },
    hooks: {
      transformRequest: () => kept('request', new PassThrough({ autoDestroy })),
      transformResponse: () => respond ? kept('response', new PassThrough({ autoDestroy })) : null,
      ...hooks
    }
  })
  return { ...server, tip: await git(['rev-parse', 'main'], { cwd: app }), streams }
}

/** Resolves when all of them are destroyed, of which there are so many; the test's own bound fails it otherwise. */
async function allDestroyed ({ streams }: Scene, counts: Partial<Record<keyof Scene['streams'], number>>): Promise<void> {
  assert.deepEqual({ request: streams.request.length, response: streams.response.length, gunzip: streams.gunzip.length }, { request: 0, response: 0, gunzip: 0, ...counts })
  for (const stream of Object.values(streams).flat()) {
    if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve))
    assert.ok(stream.destroyed)
  }
}

interface Answer { status: number, text: string }

/** Sends a whole POST over a connection that is kept, reads its answer, and asks for something else over the same connection. */
async function exchange (t: TestContext, { url }: Scene, service: string, body: Buffer, headers: Record<string, string> = {}): Promise<Answer> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  const sent = open(`${url}/app.git/git-${service}`, { method: 'POST', agent, headers: { 'content-type': `application/x-git-${service}-request`, 'git-protocol': 'version=2', ...headers } })
  sent.end(body)
  const [response] = await once(sent, 'response')
  const text = (await buffer(response)).toString('latin1')
  const next = open(`${url}/app.git/info/refs?service=git-upload-pack`, { agent })
  next.end()
  const [advertisement] = await once(next, 'response')
  assert.equal(advertisement.statusCode, 200)
  assert.equal(next.reusedSocket, true)
  await buffer(advertisement)
  return { status: response.statusCode, text }
}

interface Row {
  what: string
  service: 'upload-pack' | 'receive-pack' | 'upload-archive'
  body: (tip: string) => Buffer
  options?: Options
  prepare?: (t: TestContext) => unknown
  status: number
  says: RegExp
  /** Stages that were asked for; each row unpacks its body. */
  counts: Partial<Record<keyof Scene['streams'], number>>
}

const refuseAll = { hooks: { onPush: (push: { rejectAll: (why: string) => void }) => push.rejectAll('not today') } }
const nobodyIsLet = (t: TestContext): unknown => t.mock.method(Admission.prototype, 'acquire', async () => { throw Object.assign(new BusyError(), { retryAfter: 1 }) })
const largeFetch = (tip: string): Buffer => fetchV2({ wants: [tip], haves: MANY_HAVES })
const lsRefs = packets(['command=ls-refs', 'object-format=sha1', DELIMITER, 'peel', FLUSH])

const ROWS: Row[] = [
  { what: 'a push whose commands are malformed', service: 'receive-pack', body: () => Buffer.concat([Buffer.from('zzzz'), REST]), status: 400, says: /^Malformed/, counts: { request: 1, gunzip: 1 } },
  { what: 'a push that onPush refuses', service: 'receive-pack', body: () => Buffer.concat([COMMANDS, REST]), options: refuseAll, status: 200, says: /ng refs\/heads\/x not today/, counts: { request: 1, gunzip: 1 } },
  { what: 'a push that is too large by its Content-Length', service: 'receive-pack', body: () => Buffer.concat([COMMANDS, REST]), options: { limits: { maxPushBytes: 100_000 } }, status: 200, says: /unpack Request too large/, counts: { request: 1, gunzip: 1 } },
  { what: 'a push whose turn does not come', service: 'receive-pack', body: () => Buffer.concat([COMMANDS, REST]), prepare: nobodyIsLet, status: 200, says: /unpack The server is busy/, counts: { request: 1, gunzip: 1 } },
  { what: 'a push that git refuses before its end', service: 'receive-pack', body: () => Buffer.concat([COMMANDS, REST]), status: 200, says: /unpack (?!ok)/, counts: { request: 1, response: 1, gunzip: 1 } },
  { what: 'a fetch that is malformed', service: 'upload-pack', body: () => Buffer.concat([Buffer.from('zzzz'), REST]), status: 400, says: /^Malformed/, counts: { request: 1, gunzip: 1 } },
  { what: 'a fetch that onFetch refuses', service: 'upload-pack', body: (tip) => fetchV2({ wants: [tip] }), options: { hooks: { onFetch: (fetch) => fetch.reject('not today') } }, status: 200, says: /ERR not today/, counts: { request: 1, response: 1, gunzip: 1 } },
  { what: 'a large fetch whose turn does not come', service: 'upload-pack', body: largeFetch, prepare: nobodyIsLet, status: 200, says: /ERR The server is busy/, counts: { request: 1, response: 1, gunzip: 1 } },
  { what: 'a listing of refs out of the cache', service: 'upload-pack', body: () => Buffer.concat([lsRefs, REST]), options: { respond: false }, status: 200, says: /refs\/heads\/main/, counts: { request: 1, gunzip: 1 } },
  { what: 'an archive whose turn does not come', service: 'upload-archive', body: () => Buffer.concat([packet('argument HEAD\n'), REST]), options: { services: { uploadArchive: true } }, prepare: nobodyIsLet, status: 503, says: /busy/, counts: { request: 1, gunzip: 1 } },
  { what: 'a POST that is refused at once', service: 'upload-pack', body: largeFetch, options: { authorize: (operation) => operation.phase === 'advertise' || { allow: false, reason: 'not you' } }, status: 200, says: /ERR not you/, counts: {} },
  { what: 'a POST whose authorization fails', service: 'upload-pack', body: largeFetch, options: { authorize: (operation) => { if (operation.phase === 'advertise') return true; throw new Error('down') } }, status: 500, says: /^Internal error/, counts: {} }
]

for (const { what, service, body, options, prepare, status, says, counts } of ROWS) {
  test(`${what} is answered, its streams end and its connection goes on`, BOUND, async (t) => {
    const scene = await serve(t, options)
    // Asked for once, so that the question behind the exchange needs no git.
    await fetch(`${scene.url}/app.git/info/refs?service=git-upload-pack`, { headers: { 'git-protocol': 'version=2' } }).then(async (response) => await response.text())
    await fetch(`${scene.url}/app.git/info/refs?service=git-upload-pack`).then(async (response) => await response.text())
    await prepare?.(t)
    const answer = await exchange(t, scene, service, gzipSync(body(scene.tip), { level: 1 }), { 'content-encoding': 'gzip' })
    assert.deepEqual([answer.status, says.test(answer.text)], [status, true], answer.text.slice(0, 300))
    await allDestroyed(scene, counts)
  })
}

test('a fetch that git fails is 500, and its streams end', BOUND, async (t) => {
  const folder = await temporaryFolder(t)
  const scene = await serve(t, { git: { path: await gitShim(folder, '--stateless-rpc', 'case "$*" in *advertise*|*info-refs*) ;; *) exit 3 ;; esac') } })
  const answer = await exchange(t, scene, 'upload-pack', gzipSync(largeFetch(scene.tip)), { 'content-encoding': 'gzip' })
  assert.equal(answer.status, 500, answer.text.slice(0, 300))
  await allDestroyed(scene, { request: 1, response: 1, gunzip: 1 })
})

for (const way of ['request', 'response'] as const) {
  test(`a POST whose ${way} stage fails is answered with its error, and all streams end`, BOUND, async (t) => {
    const failing = new PassThrough({ transform: (_chunk, _encoding, callback) => callback(new RefusedError('a virus')) })
    const scene = await serve(t, { hooks: way === 'request' ? { transformRequest: () => failing } : { transformResponse: () => failing } })
    const answer = await exchange(t, scene, 'upload-pack', gzipSync(largeFetch(scene.tip)), { 'content-encoding': 'gzip' })
    assert.deepEqual(answer, { status: 403, text: 'a virus\n' })
    await allDestroyed(scene, way === 'request' ? { gunzip: 1 } : { request: 1, gunzip: 1 })
    assert.ok(failing.destroyed)
  })
}

for (const [what, service, body] of [
  ['a fetch', 'upload-pack', (tip: string) => fetchV2({ wants: [tip] })],
  ['a push', 'receive-pack', (tip: string) => Buffer.from(`${packet(`${ZERO} ${tip} refs/heads/other\0 report-status`)}0000`)]
] as const) {
  test(`${what} that ends well ends stages that do not end themselves`, BOUND, async (t) => {
    const scene = await serve(t, { autoDestroy: false })
    const whole = Buffer.concat([body(scene.tip), service === 'upload-pack' ? Buffer.alloc(0) : emptyPack()])
    const answer = await exchange(t, scene, service, gzipSync(whole), { 'content-encoding': 'gzip' })
    assert.equal(answer.status, 200)
    assert.match(answer.text, service === 'upload-pack' ? /PACK/ : /ok refs\/heads\/other/)
    await allDestroyed(scene, { request: 1, response: 1, gunzip: 1 })
  })
}

test('a client that leaves while a hook decides leaves no stream behind', BOUND, async (t) => {
  let decide = (): void => {}
  const asked = new Promise<void>((resolve) => {
    decide = resolve
  })
  const scene = await serve(t, { hooks: { onFetch: async ({ signal }) => { decide(); await once(signal, 'abort') } } })
  const post = await OpenPost.open(scene.port, '/app.git', 'upload-pack', ['Git-Protocol: version=2', 'Content-Encoding: gzip'])
  post.send(gzipSync(fetchV2({ wants: [scene.tip] })))
  post.socket.write('0\r\n\r\n')
  await asked
  post.leave()
  await allDestroyed(scene, { request: 1, response: 1, gunzip: 1 })
})

for (const service of ['upload-pack', 'receive-pack'] as const) {
  test(`a client that leaves in the middle of a body for ${service} leaves no stream behind`, BOUND, async (t) => {
    const scene = await serve(t)
    const post = await OpenPost.open(scene.port, '/app.git', service, ['Git-Protocol: version=2', 'Content-Encoding: gzip'])
    post.send(gzipSync(Buffer.concat([service === 'upload-pack' ? largeFetch(scene.tip) : COMMANDS, REST])).subarray(0, 500_000))
    await eventually(async () => scene.streams.request.length > 0, 10_000, 'the body is being read')
    post.leave()
    await allDestroyed(scene, { request: 1, gunzip: 1, ...(scene.streams.response.length > 0 && { response: 1 }) })
  })

  test(`a body for ${service} that stands still is 408, and no stream is left behind`, BOUND, async (t) => {
    const scene = await serve(t, { limits: { idleTimeout: 500 } })
    const post = await OpenPost.open(scene.port, '/app.git', service, ['Git-Protocol: version=2', 'Content-Encoding: gzip'])
    post.send(gzipSync(COMMANDS).subarray(0, 20))
    assert.match(await post.closed(), /^HTTP\/1\.1 408 /)
    await allDestroyed(scene, { request: 1, gunzip: 1 })
  })
}

test('HEAD asks for no stage', async (t) => {
  const scene = await serve(t)
  for (const path of ['info/refs', 'info/refs?service=git-upload-pack', 'HEAD']) assert.equal((await fetch(`${scene.url}/app.git/${path}`, { method: 'HEAD' })).status, 200)
  await allDestroyed(scene, {})
})

/** A pack of no objects (gitformat-pack(5)). */
function emptyPack (): Buffer {
  return Buffer.from('5041434b0000000200000000029d08823bd8a8eab510ad6ac75c823cfd3ed31e', 'hex')
}
