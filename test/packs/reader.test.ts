import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { createGzip, gunzipSync } from 'node:zlib'
import type { SpoolReader } from '../../lib/packs/spool-reader.ts'
import { bytesOf, keyOf, makeScene, MB, openIn, random, until, type Scene } from './helpers.ts'

const A = keyOf('a')
const LARGE = random(20 * MB)

/** A scene in which the answer lies in a file. */
async function makeKept (t: TestContext): Promise<Scene> {
  const scene = await makeScene(t, { minOccurrences: 0 })
  await bytesOf(await scene.fetch(A, LARGE))
  await until(() => scene.cache.counters.kept === 1)
  return scene
}

async function serve (t: TestContext, answer: (response: ServerResponse) => void): Promise<number> {
  const server = createServer((_request, response) => answer(response)).listen(0)
  t.after(() => { server.closeAllConnections(); server.close() })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function request (port: number): Promise<IncomingMessage> {
  const [response] = await once(get({ port, agent: false }), 'response') as [IncomingMessage]
  return response
}

test('a response gets a kept answer whole, through one buffer of at most 1 MiB for each client', async (t) => {
  const { fetch, folder } = await makeKept(t)
  const buffers = new Map<unknown, Set<ArrayBufferLike>>()
  const port = await serve(t, async (response) => {
    const { stream } = await fetch(A, LARGE)
    const seen = new Set<ArrayBufferLike>()
    buffers.set(stream, seen)
    stream?.on('data', (chunk: Buffer) => { seen.add(chunk.buffer); assert.ok(chunk.buffer.byteLength <= MB) })
    stream?.pipe(response)
  })
  const responses = await Promise.all([1, 2, 3].map(async () => await request(port)))
  for (const bytes of await Promise.all(responses.map(buffer))) assert.ok(bytes.equals(LARGE))
  assert.deepEqual([...buffers.values()].map((seen) => seen.size), [1, 1, 1])
  await until(async () => (await openIn(folder)).length === 0)
  for (const [seen] of buffers.values()) assert.equal(seen?.byteLength, 0, 'and it is freed at the end')
})

test('a response gets an answer whole while it grows, with and without a place in the file', async (t) => {
  for (const maxBytes of [100 * MB, 1]) {
    const { fetch, started } = await makeScene(t, { maxBytes })
    const port = await serve(t, async (response) => (await fetch(A, LARGE)).stream?.pipe(response))
    const responses = await Promise.all(Array.from({ length: 5 }, async () => await request(port)))
    for (const bytes of await Promise.all(responses.map(buffer))) assert.ok(bytes.equals(LARGE))
    assert.ok(started.length >= 1)
  }
})

test('an HTTP/2 response gets it whole as well', async (t) => {
  const { fetch } = await makeKept(t)
  const server = createHttp2Server(async (_request, response) => (await fetch(A, LARGE)).stream?.pipe(response)).listen(0)
  await once(server, 'listening')
  const session = connectHttp2(`http://localhost:${(server.address() as AddressInfo).port}`)
  t.after(() => { session.destroy(); server.close() })
  const [one, other] = [session.request({ ':path': '/' }), session.request({ ':path': '/' })]
  for (const bytes of await Promise.all([one, other].map(buffer))) assert.ok(bytes.equals(LARGE))
})

test('another stream of the host gets buffers that it may keep', async (t) => {
  const { fetch } = await makeKept(t)
  const { stream } = await fetch(A, LARGE)
  assert.ok(gunzipSync(await buffer(stream?.pipe(createGzip({ level: 1 })) ?? assert.fail())).equals(LARGE))
  const chunks: Buffer[] = []
  for await (const chunk of (await fetch(A, LARGE)).stream as SpoolReader) chunks.push(chunk as Buffer)
  assert.ok(Buffer.concat(chunks).equals(LARGE))
})

test('a client that stops reading stops the reading of the file, and its going closes it', async (t) => {
  const { fetch, folder } = await makeKept(t)
  let reader: SpoolReader | undefined
  const port = await serve(t, async (response) => {
    reader = (await fetch(A, LARGE)).stream as SpoolReader
    response.on('close', () => reader?.destroy())
    reader.pipe(response)
  })
  const response = await request(port)
  response.pause()
  let position = -1
  await until(async () => {
    const before = position
    position = reader?.position ?? -1
    await new Promise((resolve) => setTimeout(resolve, 20))
    return position > 0 && before === position
  })
  assert.ok(position < LARGE.length)
  response.destroy()
  await until(async () => (await openIn(folder)).length === 0)
})
