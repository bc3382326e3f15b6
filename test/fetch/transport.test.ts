import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent } from 'node:http'
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2'
import { test } from 'node:test'
import { buffer } from 'node:stream/consumers'
import { takeApart } from '../fixtures/fetch-answer.ts'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { gatedGit } from '../fixtures/gated-git.ts'
import { filed, largeRepository, servePacks, settled, smallRepository, tipOf } from '../fixtures/pack-scene.ts'
import { openFetch, postFetch } from '../fixtures/post-fetch.ts'
import { eventually } from '../fixtures/processes.ts'
import { sendRaw } from '../fixtures/raw.ts'

const MB = 1024 * 1024
const TYPE = 'application/x-git-upload-pack-request'

for (const [where, make] of [['memory', smallRepository], ['a file', largeRepository(6 * MB)]] as const) {
  test(`a connection stays usable after answers from ${where}, which have a Content-Length once they are complete`, async (t) => {
    const scene = await servePacks(t, make)
    const { served, appUrl } = scene
    const body = fetchV2({ wants: [await tipOf(served)] })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    t.after(() => agent.destroy())
    const ports = new Set<number | undefined>()
    let made: Buffer | undefined
    for (const expected of ['miss', 'miss', 'hit', 'hit']) {
      await (expected === 'hit' && where === 'a file' ? filed(scene) : settled(scene))
      const response = await openFetch(appUrl, body, { agent })
      ports.add(response.socket.localPort)
      const bytes = await buffer(response)
      assert.equal(response.headers['x-git-cache'], expected)
      // A small one may be complete before its headers go out.
      const length = response.headers['content-length']
      if (expected === 'hit' || length !== undefined) assert.equal(length, String(bytes.length))
      if (expected === 'hit') assert.ok(bytes.equals(made as Buffer))
      made = bytes
    }
    assert.equal(ports.size, 1)
  })

  test(`HTTP/1.0 clients get complete answers from ${where}`, async (t) => {
    const scene = await servePacks(t, make)
    const { served, port } = scene
    const body = fetchV2({ wants: [await tipOf(served)] })
    const head = `POST /app.git/git-upload-pack HTTP/1.0\r\nHost: localhost\r\nGit-Protocol: version=2\r\nContent-Type: ${TYPE}\r\nContent-Length: ${body.length}\r\n\r\n`
    const answers: Buffer[] = []
    for (const expected of ['miss', 'miss', 'hit']) {
      await (expected === 'hit' && where === 'a file' ? filed(scene) : settled(scene))
      const { headers, body: answer, status } = await sendRaw(port, Buffer.concat([Buffer.from(head), body]))
      assert.deepEqual([status, headers['x-git-cache'], headers['transfer-encoding']], [200, expected, undefined])
      takeApart(answer)
      answers.push(answer)
    }
    assert.ok(answers[1]?.equals(answers[2] as Buffer))
  })

  test(`HTTP/2 clients get complete answers from ${where}, several at once on one connection`, async (t) => {
    const scene = await servePacks(t, make, {}, { fastify: { http2: true } as never })
    const { served, port } = scene
    const session = connectHttp2(`http://127.0.0.1:${port}`)
    const body = fetchV2({ wants: [await tipOf(served)] })
    const first = await Promise.all([askHttp2(session, body), askHttp2(session, body), askHttp2(session, body)])
    assert.equal(first.filter(({ cache }) => cache === 'miss').length, 1)
    if (where === 'a file') await filed(scene)
    const later = await Promise.all([askHttp2(session, body), askHttp2(session, body)])
    for (const { cache, answer, length } of later) {
      assert.deepEqual([cache, length], ['hit', String(answer.length)])
    }
    for (const { answer, status } of [...first, ...later]) {
      assert.equal(status, 200)
      assert.ok(answer.equals(first[0]?.answer as Buffer))
    }
    // Before the server closes, which waits for it.
    session.close()
  })

  test(`what the host does to answers is done to those from ${where} as well`, async (t) => {
    const scene = await servePacks(t, make, {}, {
      before: (app) => app.addHook('onSend', async (_request, reply, payload) => {
        reply.header('x-host', 'here')
        return payload
      })
    })
    const { served, appUrl } = scene
    const body = fetchV2({ wants: [await tipOf(served)] })
    for (const expected of ['miss', 'miss', 'hit']) {
      await (expected === 'hit' && where === 'a file' ? filed(scene) : settled(scene))
      const { headers, cache, body: answer } = await postFetch(appUrl, body)
      assert.deepEqual([cache, headers['x-host']], [expected, 'here'])
      takeApart(answer)
    }
  })
}

test('clients of every kind read an answer while it grows, from its start', async (t) => {
  for (const http2 of [false, true]) {
    const gate = await gatedGit(await temporaryFolder(t), 5 * MB)
    const { served, port, appUrl, app } = await servePacks(t, largeRepository(6 * MB), { git: { path: gate.path } }, http2 ? { fastify: { http2: true } as never } : {})
    const body = fetchV2({ wants: [await tipOf(served)] })
    const old = Buffer.from(`POST /app.git/git-upload-pack HTTP/1.0\r\nGit-Protocol: version=2\r\nContent-Type: ${TYPE}\r\nContent-Length: ${body.length}\r\n\r\n`)
    const session = http2 ? connectHttp2(`http://127.0.0.1:${port}`) : null
    let asked: Array<Promise<Buffer>>
    if (session !== null) {
      asked = Array.from({ length: 3 }, async () => (await askHttp2(session, body)).answer)
    } else {
      asked = [postFetch(appUrl, body), sendRaw(port, Buffer.concat([old, body])), postFetch(appUrl, body)].map(async (reply) => (await reply).body)
    }
    await gate.reached(1)
    await eventually(async () => app.gitHttp.active === 3, 5_000, 'all three read')
    await gate.open()
    const answers = await Promise.all(asked)
    takeApart(answers[0] as Buffer)
    for (const answer of answers) assert.ok(answer.length > 6 * MB && answer.equals(answers[0] as Buffer))
    assert.equal(await gate.begun(), 1)
    session?.close()
  }
})

test('requests that are sent ahead on one connection (pipelining) get their answers in order', async (t) => {
  const { served, port } = await servePacks(t, smallRepository)
  const bodies = [[], ['deepen 1'], [], ['deepen 2'], []].map((lines) => ({ lines, wants: [] as string[] }))
  const id = await tipOf(served)
  const requests = bodies.map((question, i) => {
    const body = fetchV2({ ...question, wants: [id] })
    const close = i === bodies.length - 1 ? 'Connection: close\r\n' : ''
    return Buffer.concat([Buffer.from(`POST /app.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\n${close}Git-Protocol: version=2\r\nContent-Type: ${TYPE}\r\nContent-Length: ${body.length}\r\n\r\n`), body])
  })
  const { text } = await sendRaw(port, Buffer.concat(requests))
  assert.equal(text.split('HTTP/1.1 200 OK').length - 1, bodies.length)
  assert.equal(text.split('packfile\n').length - 1, bodies.length)
  assert.equal(text.split('shallow-info').length - 1, 2)
})

test('an HTTP/2 stream that is reset in the middle disturbs no other', async (t) => {
  const gate = await gatedGit(await temporaryFolder(t), 5 * MB)
  const { served, port, app } = await servePacks(t, largeRepository(6 * MB), { git: { path: gate.path } }, { fastify: { http2: true } as never })
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  const body = fetchV2({ wants: [await tipOf(served)] })
  const leader = openHttp2(session, body)
  await once(leader, 'response')
  const other = askHttp2(session, body)
  await eventually(async () => app.gitHttp.active === 2, 5_000, 'both read')
  leader.close(8)
  await eventually(async () => app.gitHttp.active === 1, 2_000, 'one is gone')
  await gate.open()
  const { answer, cache } = await other
  assert.equal(cache, 'shared')
  assert.ok(answer.length > 6 * MB)
  takeApart(answer)
  session.close()
})

function openHttp2 (session: ClientHttp2Session, body: Buffer): ReturnType<ClientHttp2Session['request']> {
  const stream = session.request({ ':method': 'POST', ':path': '/app.git/git-upload-pack', 'content-type': TYPE, 'git-protocol': 'version=2' })
  stream.on('error', () => {})
  stream.end(body)
  return stream
}

async function askHttp2 (session: ClientHttp2Session, body: Buffer): Promise<{ status: number, cache: unknown, length: unknown, answer: Buffer }> {
  const stream = openHttp2(session, body)
  const [headers] = await once(stream, 'response') as [Record<string, unknown>]
  return { status: Number(headers[':status']), cache: headers['x-git-cache'], length: headers['content-length'], answer: await buffer(stream) }
}
