/** Requests that are odd as HTTP. Each row is what stands on the wire; raw, because a client library would put it right. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sendRaw } from '../fixtures/raw.ts'
import { assertAlive, assertDiscreet, makeStage, packet, serve } from './helpers.ts'

const HEAD_TARGET = '/git/app.git/HEAD'
const FETCH = '/git/app.git/git-upload-pack'
const TYPE = 'Content-Type: application/x-git-upload-pack-request'
const LS_REFS = `${packet('command=ls-refs\n').toString()}0000`

interface Row {
  /** The whole request, without `Connection: close`. */
  request: string[]
  body?: string
  /** Good statuses, in the order of the answers; more than one number for one answer is a choice. */
  status: number | number[]
  why: string
  /** git has all that it needs before the oddity comes. */
  mayStart?: true
}

const host = 'Host: localhost'
const close = 'Connection: close'

const ROWS: Row[] = [
  // Targets.
  { request: [`GET http://localhost${HEAD_TARGET} HTTP/1.1`, host, close], status: [200, 404], why: 'absolute form, as for a proxy' },
  { request: ['GET http://localhost/git/../outside/secret.git/HEAD HTTP/1.1', host, close], status: [400, 404], why: 'absolute form that climbs' },
  { request: ['GET http://localhost/../outside/secret.git/HEAD HTTP/1.1', host, close], status: [400, 404], why: 'absolute form that climbs above the prefix' },
  { request: ['GET file:///etc/passwd/HEAD HTTP/1.1', host, close], status: [400, 404], why: 'another scheme' },
  { request: [`GET //localhost${HEAD_TARGET} HTTP/1.1`, host, close], status: [400, 404], why: 'a target that looks like an authority' },
  { request: ['GET git/app.git/HEAD HTTP/1.1', host, close], status: 400, why: 'no slash in front' },
  { request: ['GET ?service=git-upload-pack HTTP/1.1', host, close], status: [400, 404], why: 'nothing but a query' },
  { request: ['OPTIONS * HTTP/1.1', host, close], status: [400, 404], why: 'the whole server' },
  { request: ['CONNECT app.git:80 HTTP/1.1', host, close], status: [], why: 'a tunnel: the connection is closed' },
  { request: [`GET ${HEAD_TARGET}?${'q'.repeat(20_000)} HTTP/1.1`, host, close], status: 431, why: 'a target of 20 kB' },
  { request: [`GET ${HEAD_TARGET}\tx HTTP/1.1`, host, close], status: 400, why: 'a tab in the target' },
  { request: [`GET ${HEAD_TARGET} x HTTP/1.1`, host, close], status: 400, why: 'a space in the target' },
  { request: ['GET /git/app.git\0/HEAD HTTP/1.1', host, close], status: 400, why: 'a NUL as it is' },
  // The rest of the first line.
  { request: [`GET ${HEAD_TARGET}`], status: [200, 400], why: 'no version: HTTP/0.9 to Node' },
  { request: [`GET ${HEAD_TARGET} HTTP/9.9`, host, close], status: 400, why: 'a version that is none' },
  { request: [`GET ${HEAD_TARGET} HTTP/1.0`], status: 200, why: 'HTTP/1.0, without Host' },
  { request: [`GET ${HEAD_TARGET} HTTP/1.0`, 'Connection: keep-alive', host], status: [200], why: 'HTTP/1.0 that wants to stay' },
  { request: [`POST ${FETCH} HTTP/1.0`, TYPE], status: 400, why: 'a POST of HTTP/1.0 without a length has no body, which asks for nothing' },
  { request: [`POST ${FETCH} HTTP/1.0`, TYPE, 'Content-Length: 4'], body: '0000', status: 200, why: 'with one it has' },
  { request: [`get ${HEAD_TARGET} HTTP/1.1`, host, close], status: 400, why: 'a method in lower case' },
  { request: ['PRI * HTTP/2.0', '', 'SM'], status: 400, why: 'the preface of HTTP/2 on HTTP/1' },
  { request: ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'], status: 400, why: 'TLS without TLS' },
  // Headers.
  { request: [`GET ${HEAD_TARGET} HTTP/1.1`, close], status: 400, why: 'no Host' },
  { request: [`GET ${HEAD_TARGET} HTTP/1.1`, host, `X: ${'x'.repeat(20_000)}`, close], status: 431, why: 'a header of 20 kB' },
  { request: [`GET ${HEAD_TARGET} HTTP/1.1`, host, ...Array.from({ length: 1_500 }, (_, i) => `X-${i}: x`), close], status: [200, 431], why: '1,500 headers' },
  { request: [`GET ${HEAD_TARGET} HTTP/1.1`, host, 'X', close], status: 400, why: 'a header without a colon' },
  { request: [`GET ${HEAD_TARGET} HTTP/1.1`, host, 'X Y: z', close], status: 400, why: 'a space in a header\'s name' },
  { request: [`GET ${HEAD_TARGET} HTTP/1.1`, host, 'X: a\0b', close], status: 400, why: 'a NUL in a header' },
  { request: [`GET ${HEAD_TARGET} HTTP/1.1`, host, ': x', close], status: 400, why: 'a header without a name' },
  { request: [`GET ${HEAD_TARGET} HTTP/1.1`, host, `Git-Protocol: ${'x'.repeat(8_000)}`, close], status: 200, why: 'a long Git-Protocol is none' },
  { request: ['GET /git/app.git/objects/info/packs HTTP/1.1', host, `Range: bytes=${Array(1_000).fill('0-').join()}`, close], status: [200, 206, 416], why: 'a thousand ranges make no thousand answers' },
  { request: [`GET ${HEAD_TARGET} HTTP/1.1`, host, 'If-Modified-Since: x', 'If-None-Match: x', 'Range: x', close], status: 200, why: 'conditions that are none' },
  // Upgrades.
  { request: [`GET ${HEAD_TARGET} HTTP/1.1`, host, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: x', 'Sec-WebSocket-Version: 13'], status: [200, 400], why: 'a web socket, which is not there' },
  { request: [`GET ${HEAD_TARGET} HTTP/1.1`, host, 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'], status: [200, 400], why: 'HTTP/2 over this connection' },
  { request: [`POST ${FETCH} HTTP/1.1`, host, TYPE, 'Connection: Upgrade', 'Upgrade: x', 'Content-Length: 4'], body: '0000', status: [200, 400], why: 'a POST that wants to be something else' },
  // Bodies and their framing; more of it in bodies.test.ts.
  { request: [`GET ${HEAD_TARGET} HTTP/1.1`, host, 'Content-Length: 4', close], body: '0000', status: 200, why: 'a GET with a body, which is nobody\'s' },
  { request: [`POST ${FETCH} HTTP/1.1`, host, TYPE, 'Content_Length: 4', close], body: '0000', status: 400, why: 'a length under another name is none, and what follows is no request' },
  { request: [`POST ${FETCH} HTTP/1.1`, host, TYPE, 'Transfer-Encoding: chunked', close], body: '4;a=b;c="d"\r\n0000\r\n0\r\n\r\n', status: 200, why: 'a short chunk extension' },
  { request: [`POST ${FETCH} HTTP/1.1`, host, TYPE, 'Transfer-Encoding: chunked', close], body: '0000000000004\r\n0000\r\n000\r\n\r\n', status: 200, why: 'zeros before the length of a chunk' },
  { request: [`POST ${FETCH} HTTP/1.1`, host, TYPE, 'Transfer-Encoding: chunked', close], body: '4\r\n0000\r\n0\r\nContent-Length: 9\r\nAuthorization: Basic eDp4\r\n\r\n', status: 400, mayStart: true, why: 'a length among the trailers, behind a whole request' },
  { request: [`POST ${FETCH} HTTP/1.1`, host, TYPE, 'Transfer-Encoding: chunked', close], body: `4\r\n0000\r\n0\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`, status: [200, 400, 431], mayStart: true, why: 'trailers of 100 kB, behind a whole request' },
  { request: [`POST ${FETCH} HTTP/1.1`, host, TYPE, 'Transfer-Encoding: chunked', close], body: '0x4\r\n0000\r\n0\r\n\r\n', status: 400, why: 'a length of a chunk with a prefix' },
  { request: [`POST ${FETCH} HTTP/1.1`, host, TYPE, 'Transfer-Encoding: chunked', close], body: '4\n0000\n0\n\n', status: 400, why: 'newlines alone' },
  { request: [`POST ${FETCH} HTTP/1.1`, host, TYPE, 'Transfer-Encoding: chunked', close], body: '\r\n4\r\n0000\r\n0\r\n\r\n', status: 400, why: 'an empty line before the first chunk' },
  { request: [`POST ${FETCH} HTTP/1.1`, host, TYPE, 'Transfer-Encoding: gzip, chunked', close], body: '4\r\n0000\r\n0\r\n\r\n', status: [200, 400, 415, 501], why: 'a transfer coding before the chunks: read as it is, never unpacked' },
  { request: [`POST ${FETCH} HTTP/1.1`, host, TYPE, 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked', close], body: '4\r\n0000\r\n0\r\n\r\n', status: [200, 400], why: 'chunked twice: one coding, or none' },
  { request: [`POST ${FETCH} HTTP/1.1`, host, TYPE, 'Git-Protocol: version=2', 'Expect: 100-continue', `Content-Length: ${LS_REFS.length}`, close], body: LS_REFS, status: 200, why: 'an expectation, and no waiting for it' },
  { request: [`POST ${FETCH} HTTP/1.0`, TYPE, 'Expect: 100-continue', 'Content-Length: 4'], body: '0000', status: 200, why: 'an expectation of HTTP/1.0, which has none' }
]

test('odd requests have one answer that tells nothing, start no git beyond what they ask for, and the server goes on', async (t) => {
  const stage = await makeStage(t)
  const server = await serve(t, stage, {}, { fastify: { keepAliveTimeout: 200 } })
  await assertAlive(server)
  for (const { request, body = '', status, why, mayStart = false } of ROWS) {
    await t.test(`${request.join(' | ').slice(0, 70)}: ${why}`, async () => {
      const before = await stage.started()
      const response = await sendRaw(server.port, Buffer.from(`${request.join('\r\n')}\r\n\r\n${body}`, 'latin1'))
      const answers = [...response.text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, code]) => Number(code)).filter((code) => code !== 100)
      if (Array.isArray(status) && status.length === 0) assert.deepEqual(answers, [])
      else {
        assert.equal(answers.length, 1, response.text.slice(0, 500))
        assert.ok([status].flat().includes(answers[0] as number), response.text.slice(0, 300))
      }
      assertDiscreet(stage, response, why)
      if (!answers.includes(200) && !mayStart) assert.deepEqual(await stage.started(), before)
      await assertAlive(server)
    })
  }
  assert.deepEqual(server.log.filter(({ level }) => Number(level) >= 50), [])
})

test('what stands behind a request on its connection is the next request, and nothing else', async (t) => {
  const stage = await makeStage(t)
  const server = await serve(t, stage)
  const second = `GET ${HEAD_TARGET} HTTP/1.1\r\n${host}\r\n${close}\r\n\r\n`
  for (const [first, expected] of [
    [`GET ${HEAD_TARGET} HTTP/1.1\r\n${host}\r\nContent-Length: 4\r\n\r\n0000`, [200, 200]],
    [`HEAD ${HEAD_TARGET} HTTP/1.1\r\n${host}\r\n\r\n`, [200, 200]],
    [`HEAD /git/app.git/info/refs?service=git-upload-pack HTTP/1.1\r\n${host}\r\n\r\n`, [200, 200]],
    [`POST ${FETCH} HTTP/1.1\r\n${host}\r\n${TYPE}\r\nContent-Length: 4\r\n\r\n0000`, [200, 200]],
    [`POST ${FETCH} HTTP/1.1\r\n${host}\r\nContent-Length: ${second.length}\r\n\r\n${second}`, [415, 200]],
    [`POST ${FETCH} HTTP/1.1\r\n${host}\r\n${TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n${second.length.toString(16)}\r\n${second}\r\n0\r\n\r\n`, [400, 200]],
    [`POST /git/missing.git/git-upload-pack HTTP/1.1\r\n${host}\r\n${TYPE}\r\nContent-Length: ${second.length}\r\n\r\n${second}`, [404, 200]],
    [`PUT ${FETCH} HTTP/1.1\r\n${host}\r\n${TYPE}\r\nContent-Length: ${second.length}\r\n\r\n${second}`, [405, 200]]
  ] as const) {
    const { text } = await sendRaw(server.port, first + second)
    assert.deepEqual([...text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, code]) => Number(code)), expected, `${first}\n${text}`)
    assert.match(text, /ref: refs\/heads\/main\n$/)
  }
})
