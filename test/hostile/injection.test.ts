/** Queries, methods and headers that try to be understood as something else than what was authorized. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GitOperation } from '../../lib/index.ts'
import { assertAlive, assertDiscreet, makeStage, packet, post, send, serve } from './helpers.ts'

const UPLOAD = 'application/x-git-upload-pack-request'

/** `info/refs?<query>`: what is answered, and the service that authorize sees (null: it is not even asked). */
const QUERIES: Array<{ query: string, status: number, service: GitOperation['service'] | null, why: string }> = [
  { query: '', status: 200, service: 'dumb', why: 'no service: the dumb listing' },
  { query: 'service=git-upload-pack', status: 200, service: 'upload-pack', why: 'the exact name' },
  { query: 'x=1&service=git-upload-pack&y', status: 200, service: 'upload-pack', why: 'among other parameters' },
  { query: 'service=git%2Dupload%2Dpack', status: 200, service: 'upload-pack', why: 'decoded once, as git-http-backend does' },
  { query: 'service=git%252Dupload%252Dpack', status: 403, service: null, why: 'encoded twice' },
  { query: 'service', status: 403, service: null, why: 'without a value' },
  { query: 'service=', status: 403, service: null, why: 'empty' },
  { query: 'service=upload-pack', status: 403, service: null, why: 'without git-' },
  { query: 'service=git-upload-archive', status: 403, service: null, why: 'a service that is never advertised' },
  { query: 'service=git-shell', status: 403, service: null, why: 'another program of git' },
  { query: 'service=git-upload-pack%20', status: 403, service: null, why: 'a space behind it' },
  { query: 'service=git-upload-pack+', status: 403, service: null, why: 'a plus, which is a space' },
  { query: 'service=%20git-upload-pack', status: 403, service: null, why: 'a space in front' },
  { query: 'service=git-upload-pack%0a', status: 403, service: null, why: 'a newline behind it' },
  { query: 'service=git-upload-pack%00', status: 403, service: null, why: 'a NUL behind it' },
  { query: 'service=git-upload-pack;service=git-receive-pack', status: 403, service: null, why: 'a semicolon separates nothing' },
  { query: 'service=git-upload-pack/../git-receive-pack', status: 403, service: null, why: 'a path' },
  { query: 'service=git-upload-pack#git-receive-pack', status: 403, service: null, why: 'a fragment, which no client sends' },
  { query: 'service=git-upload-pack?service=git-receive-pack', status: 403, service: null, why: 'a second question mark' },
  { query: 'service=GIT-UPLOAD-PACK', status: 403, service: null, why: 'upper case' },
  { query: 'service=$(git-upload-pack)', status: 403, service: null, why: 'what a shell would run' },
  { query: 'service=--upload-pack=x', status: 403, service: null, why: 'an option' },
  { query: 'service=git-upload-pack&service=git-upload-pack', status: 403, service: null, why: 'twice, the same' },
  { query: 'service=git-upload-pack&service=git-receive-pack', status: 403, service: null, why: 'twice, the harmless one first' },
  { query: 'service=git-receive-pack&service=git-upload-pack', status: 403, service: null, why: 'twice, the harmless one last' },
  { query: 'service=git-upload-pack&%73ervice=git-receive-pack', status: 403, service: null, why: 'the second one encoded' },
  { query: 'service=git-upload-pack&service', status: 403, service: null, why: 'the second one empty' },
  { query: 'service[]=git-receive-pack', status: 403, service: null, why: 'an array to many query parsers' },
  { query: 'service%5B%5D=git-receive-pack', status: 403, service: null, why: 'the same encoded' },
  { query: 'service[0]=git-receive-pack', status: 403, service: null, why: 'an array by index' },
  { query: 'service=git-upload-pack&service[]=git-receive-pack', status: 403, service: null, why: 'a name and an array' },
  { query: 'service[x]=git-receive-pack', status: 403, service: null, why: 'an object' },
  { query: 'Service=git-receive-pack', status: 200, service: 'dumb', why: 'another parameter: names are case-sensitive' }
]

test('info/refs runs the one service that its query names exactly, or none', async (t) => {
  const stage = await makeStage(t)
  const seen: GitOperation[] = []
  const server = await serve(t, stage, { authorize: (operation) => { seen.push(operation); return true } })
  for (const { query, status, service, why } of QUERIES) {
    await t.test(`?${query}: ${why}`, async () => {
      for (const method of ['GET', 'HEAD']) {
        seen.length = 0
        const before = (await stage.started()).length
        const response = await send(server.port, method, `/git/app.git/info/refs?${query}`)
        assert.equal(response.status, status, response.text)
        assert.deepEqual(seen.map((operation) => operation.service), service === null ? [] : [service])
        if (service === null) assert.equal((await stage.started()).length, before)
        assert.doesNotMatch((await stage.started()).join('\n'), /receive-pack/)
        assertDiscreet(stage, response, query)
      }
    })
  }
  await assertAlive(server)
})

/** POSTs whose query names another service than their path. */
const ROUTED = [
  { target: 'git-receive-pack?service=git-upload-pack', service: 'receive-pack', access: 'write' },
  { target: 'git-receive-pack?service=git-upload-pack&access=read&user=admin', service: 'receive-pack', access: 'write' },
  { target: 'git-upload-pack?service=git-receive-pack', service: 'upload-pack', access: 'read' },
  { target: 'git-upload-archive?service=git-upload-pack', service: 'upload-archive', access: 'read' }
] as const

for (const { target, service, access } of ROUTED) {
  test(`authorize sees the service of the path: POST ${target} is ${access} access by ${service}`, async (t) => {
    const stage = await makeStage(t)
    const seen: GitOperation[] = []
    const server = await serve(t, stage, {
      services: { uploadArchive: true },
      // A rule that lets everybody read: a push that looked like a fetch would pass.
      authorize: (operation) => { seen.push(operation); return operation.access === 'read' ? 'hide' : false }
    })
    const response = await send(server.port, 'POST', `/git/app.git/${target}`, [`Content-Type: application/x-git-${service}-request`], '0000')
    assert.equal(response.status, access === 'read' ? 404 : 401)
    assert.deepEqual(seen.map((operation) => [operation.service, operation.access, operation.user, operation.phase]), [[service, access, null, 'exchange']])
  })
}

const METHODS: Array<{ suffix: string, allow: string, wrong: string[] }> = [
  { suffix: 'info/refs', allow: 'GET, HEAD', wrong: ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'] },
  { suffix: 'info/refs?service=git-receive-pack', allow: 'GET, HEAD', wrong: ['POST', 'PUT', 'DELETE'] },
  { suffix: 'git-upload-pack', allow: 'POST', wrong: ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'] },
  { suffix: 'git-receive-pack', allow: 'POST', wrong: ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'] },
  { suffix: 'git-upload-archive', allow: 'POST', wrong: ['GET', 'HEAD', 'PUT'] },
  { suffix: 'HEAD', allow: 'GET, HEAD', wrong: ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] },
  { suffix: 'objects/info/packs', allow: 'GET, HEAD', wrong: ['POST', 'PUT', 'DELETE'] },
  { suffix: `objects/ab/${'cd'.repeat(19)}`, allow: 'GET, HEAD', wrong: ['POST', 'PUT', 'DELETE'] }
]

test('a wrong method is 405 with Allow, on every family, whoever asks', async (t) => {
  const stage = await makeStage(t)
  const server = await serve(t, stage, { publicWrite: true })
  for (const { suffix, allow, wrong } of METHODS) {
    for (const method of wrong) {
      for (const name of ['app.git', 'missing.git']) {
        const response = await send(server.port, method, `/git/${name}/${suffix}`, [`X-HTTP-Method-Override: ${allow.split(',')[0]}`])
        assert.equal(response.status, 405, `${method} ${suffix}: ${response.text}`)
        assert.equal(response.headers['allow'], allow)
        assertDiscreet(stage, response, method)
      }
    }
  }
  assert.deepEqual(await stage.started(), [])
  await assertAlive(server)
})

/** Headers of a POST to git-upload-pack that are refused before anything is looked up. */
const HEADERS: Array<{ headers: string[], status: number, why: string }> = [
  { headers: [], status: 415, why: 'no Content-Type: what a form on another site can send' },
  { headers: ['Content-Type: text/plain'], status: 415, why: 'another type that a form can send' },
  { headers: ['Content-Type: application/x-www-form-urlencoded'], status: 415, why: 'a form' },
  { headers: ['Content-Type: multipart/form-data; boundary=x'], status: 415, why: 'a form with files' },
  { headers: ['Content-Type: application/json'], status: 415, why: 'what Fastify would parse' },
  { headers: [`Content-Type: ${UPLOAD}; charset=utf-8`], status: 415, why: 'the type with a parameter' },
  { headers: [`Content-Type: ${UPLOAD}, ${UPLOAD}`], status: 415, why: 'the type twice in one header' },
  { headers: ['Content-Type: text/plain', `Content-Type: ${UPLOAD}`], status: 415, why: 'two headers: the first one counts' },
  { headers: ['Content-Type: Application/X-Git-Upload-Pack-Request'], status: 415, why: 'another case: the type is compared as git-http-backend does' },
  { headers: ['Content-Type: application/x-git-receive-pack-request'], status: 415, why: 'the type of the other service' },
  { headers: ['Content-Type: application/x-git-upload-pack-result'], status: 415, why: 'the type of an answer' },
  { headers: ['Content-Type: nonsense'], status: 415, why: 'no type at all' },
  { headers: [`Content-Type: ${UPLOAD}`, 'Content-Encoding: br'], status: 415, why: 'brotli' },
  { headers: [`Content-Type: ${UPLOAD}`, 'Content-Encoding: deflate'], status: 415, why: 'deflate' },
  { headers: [`Content-Type: ${UPLOAD}`, 'Content-Encoding: gzip, gzip'], status: 415, why: 'a bomb within a bomb' },
  { headers: [`Content-Type: ${UPLOAD}`, 'Content-Encoding: gzip', 'Content-Encoding: gzip'], status: 415, why: 'the same in two headers' },
  { headers: [`Content-Type: ${UPLOAD}`, 'Content-Encoding: identity, gzip'], status: 415, why: 'a list' },
  { headers: [`Content-Type: ${UPLOAD}`, 'Content-Encoding: gzip;q=1'], status: 415, why: 'a parameter' },
  { headers: [`Content-Type: ${UPLOAD}`, 'Expect: nonsense'], status: 417, why: 'an expectation that nobody knows' }
]

test('a POST with wrong headers is refused before git is started', async (t) => {
  const stage = await makeStage(t)
  const server = await serve(t, stage)
  for (const { headers, status, why } of HEADERS) {
    for (const body of ['0000', packet('command=ls-refs\n')]) {
      const response = await send(server.port, 'POST', '/git/app.git/git-upload-pack', headers, body)
      assert.equal(response.status, status, `${why}: ${response.text}`)
      assertDiscreet(stage, response, why)
    }
  }
  assert.deepEqual(await stage.started(), [])
  assert.equal((await post(server.port, '/git/app.git/git-upload-pack', '0000', ['Content-Encoding: identity'])).status, 200)
  const continued = await post(server.port, '/git/app.git/git-upload-pack', '0000', ['Expect: 100-continue'])
  assert.match(continued.text, /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK\r\n/, 'what real clients expect')
  await assertAlive(server)
})
