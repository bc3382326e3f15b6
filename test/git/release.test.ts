import assert from 'node:assert/strict'
import { createServer, get, type IncomingMessage } from 'node:http'
import { once } from 'node:events'
import { PassThrough, Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { createGzip, gunzipSync } from 'node:zlib'
import { feed } from '../../lib/git/feed.ts'
import type { GitProcess } from '../../lib/git/git-process.ts'
import { ServiceAnswer } from '../../lib/git/service-answer.ts'
import { release } from '../../lib/limits/release.ts'

function gitThatSays (stdout: PassThrough): GitProcess {
  return { pid: 0, stdin: new PassThrough(), stdout, exited: Promise.resolve({ code: 0, signal: null, stderr: '' }), hasExited: true }
}

function answerOf (stdout: PassThrough, prefix: Buffer | null = null): ServiceAnswer {
  return new ServiceAnswer(gitThatSays(stdout), { prefix, emptyExit: 0, onProgress: () => {} })
}

test('release empties a chunk that owns its memory, and spares one that shares it', () => {
  const whole = Buffer.alloc(65_536, 1)
  release(whole)
  assert.equal(whole.byteLength, 0)
  const parent = Buffer.alloc(100, 1)
  release(parent.subarray(0, 50))
  assert.equal(parent.length, 100)
})

test('a body reaches git whole, although every chunk is freed behind it', async () => {
  const chunks = Array.from({ length: 50 }, (_, i) => Buffer.alloc(40_000, i))
  const expected = Buffer.concat(chunks)
  const body = new PassThrough()
  const received: Buffer[] = []
  const stdin = new Writable({
    write (chunk: Buffer, _encoding, done) {
      received.push(Buffer.from(chunk))
      setImmediate(done)
    }
  })
  const fed = feed(body, stdin, { onProgress: () => {}, owned: true })
  for (const chunk of chunks) body.write(chunk)
  body.end()
  await fed
  assert.ok(Buffer.concat(received).equals(expected))
  assert.ok(chunks.every((chunk) => chunk.length === 0), 'freed')
})

test('a response gets the answer whole and each chunk is freed; the prefix is not', async (t) => {
  const chunks = Array.from({ length: 50 }, (_, i) => Buffer.alloc(40_000, i))
  const prefix = Buffer.alloc(20, 'p')
  const expected = Buffer.concat([prefix, ...chunks])
  const server = createServer((_request, response) => {
    const stdout = new PassThrough()
    answerOf(stdout, prefix).pipe(response)
    for (const chunk of chunks) stdout.write(chunk)
    stdout.end()
  }).listen(0)
  t.after(() => server.close())
  await once(server, 'listening')
  const [response] = await once(get({ port: (server.address() as { port: number }).port, agent: false }), 'response') as [IncomingMessage]
  assert.ok((await buffer(response)).equals(expected))
  assert.ok(chunks.every((chunk) => chunk.length === 0), 'freed')
  assert.equal(prefix.length, 20)
})

test('another stream of the host gets chunks that it may keep', async () => {
  const chunks = Array.from({ length: 20 }, (_, i) => Buffer.alloc(40_000, i))
  const expected = Buffer.concat(chunks)
  const stdout = new PassThrough()
  const compressed = buffer(answerOf(stdout).pipe(createGzip()))
  for (const chunk of chunks) stdout.write(chunk)
  stdout.end()
  assert.ok(gunzipSync(await compressed).equals(expected))
})
