import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { encodePacket } from '../../lib/protocol/pkt-line.ts'
import { askUploadPack, takeApart } from '../fixtures/fetch-answer.ts'
import { DELIMITER, fetchV0, fetchV2, FLUSH, packets } from '../fixtures/fetch-request.ts'
import { git } from '../fixtures/git.ts'
import { servePacks, smallRepository, tipOf } from '../fixtures/pack-scene.ts'
import { openFetch, postFetch } from '../fixtures/post-fetch.ts'
import { traceGit } from '../fixtures/traced-git.ts'

const GZIP = { headers: { 'content-encoding': 'gzip' } }

test('what is not understood, or meant for one client, is git\'s alone', async (t) => {
  const { served, appUrl } = await servePacks(t, smallRepository)
  await git(['config', 'uploadpack.blobPackfileUri', `${'1'.repeat(40)} ${'2'.repeat(40)} https://example.org/pack`], { cwd: served })
  const wants = [await tipOf(served)]
  const want = `want ${wants[0]}\n`
  const bodies: Record<string, [0 | 2, Buffer]> = {
    'server options': [2, packets(['command=fetch', 'server-option=one', DELIMITER, want, 'done\n', FLUSH])],
    'packfile-uris': [2, fetchV2({ wants, lines: ['packfile-uris https'] })],
    'negotiation in v0': [0, fetchV0({ wants, haves: [await tipOf(served, 'main~3')] })],
    'an unknown argument': [2, fetchV2({ wants, lines: ['surprise'] })],
    'bytes behind the end': [2, Buffer.concat([fetchV2({ wants }), Buffer.from('0000')])],
    'another command': [2, packets(['command=object-info', DELIMITER, 'size', `oid ${wants[0]}`, FLUSH])]
  }
  for (const [what, [protocol, body]] of Object.entries(bodies)) {
    const { answer } = await askUploadPack(served, body, protocol)
    for (let i = 0; i < 3; i++) {
      const reply = await postFetch(appUrl, body, { protocol })
      assert.equal(reply.cache, 'bypass', what)
      if (answer.length === 0) assert.match(reply.body.toString(), /^[0-9a-f]{4}ERR (?:unexpected|expected) /, what)
      else assert.deepEqual(takeApart(reply.body).lines, takeApart(answer).lines, what)
    }
  }
})

test('a program that makes the packs may look at anything: its answers are not kept', async (t) => {
  const { served, appUrl, root } = await servePacks(t, smallRepository)
  // git takes it from the user's and the system's config only; a setting of the server is one as well.
  await git(['config', 'uploadpack.packObjectsHook', `${root}/anything`], { cwd: served })
  for (let i = 0; i < 3; i++) assert.equal((await postFetch(appUrl, fetchV2({ wants: [await tipOf(served)] }))).cache, 'bypass')
})

test('plain, gzipped and chunked requests are the same question', async (t) => {
  const { served, appUrl } = await servePacks(t, smallRepository)
  // As long as those that git gzips.
  const haves = (await git(['rev-list', 'main~1'], { cwd: served })).split('\n')
  const body = fetchV2({ wants: [await tipOf(served)], haves })
  const ask = {
    plain: async () => await postFetch(appUrl, body),
    gzipped: async () => await postFetch(appUrl, gzipSync(body), GZIP),
    'x-gzipped': async () => await postFetch(appUrl, gzipSync(body), { headers: { 'content-encoding': 'x-gzip' } }),
    'in two members': async () => await postFetch(appUrl, Buffer.concat([gzipSync(body.subarray(0, 100)), gzipSync(body.subarray(100))]), GZIP),
    chunked: async () => await postFetch(appUrl, body, { chunks: body.length }),
    'chunked and gzipped': async () => await postFetch(appUrl, gzipSync(body), { ...GZIP, chunks: 50 }),
    'in other words': async () => await postFetch(appUrl, Buffer.from(body.toString().replace('agent=git/2.39.5', 'agent=git/2.55.1')))
  }
  await ask.plain()
  const kept = await ask.plain()
  for (const [how, again] of Object.entries(ask)) {
    const { cache, body: answer } = await again()
    assert.equal(cache, 'hit', how)
    assert.ok(answer.equals(kept.body), how)
  }
})

test('a request above 1 MiB streams to git, whether plain, chunked or gzipped', async (t) => {
  const { served, appUrl } = await servePacks(t, smallRepository)
  const id = await tipOf(served)
  // Ids that nobody knows, because the same one over and over would be a gzip bomb.
  const body = fetchV2({ wants: [id], haves: Array.from({ length: 26_000 }, () => randomBytes(20).toString('hex')) })
  assert.ok(body.length > 1_200_000)
  const { pack } = takeApart((await askUploadPack(served, body, 2)).answer)
  for (const reply of [
    await postFetch(appUrl, body), await postFetch(appUrl, body, { chunks: 37 }),
    await postFetch(appUrl, gzipSync(body), GZIP), await postFetch(appUrl, gzipSync(body), { ...GZIP, chunks: 11 })
  ]) {
    assert.deepEqual([reply.status, reply.cache], [200, 'bypass'])
    assert.equal(takeApart(reply.body).pack.readUInt32BE(8), pack.readUInt32BE(8))
  }
})

test('a very long request is never held in memory', async (t) => {
  const { served, appUrl } = await servePacks(t, smallRepository, { limits: { maxNegotiationBytes: 100_000_000 } })
  const line = encodePacket(`want ${await tipOf(served)}\n`)
  const many = Buffer.concat(Array.from({ length: 200_000 }, () => line))
  const body = Buffer.concat([packets(['command=fetch', 'object-format=sha1', DELIMITER]), ...Array.from({ length: 6 }, () => many), packets(['done\n', FLUSH])])
  assert.ok(body.length > 50_000_000)
  const before = process.memoryUsage().arrayBuffers
  let most = 0
  const timer = setInterval(() => { most = Math.max(most, process.memoryUsage().arrayBuffers - before) }, 5)
  const response = await openFetch(appUrl, body, { chunks: 1_000 })
  assert.equal(response.headers['x-git-cache'], 'bypass')
  assert.ok(takeApart(await buffer(response)).pack.length > 0)
  clearInterval(timer)
  // The pieces that the client has queued are parts of `body`, which was there before.
  assert.ok(most < 24 * 1024 * 1024, `${most} bytes`)
})

test('malformed requests are 400 before any git starts', async (t) => {
  const traced = await traceGit(t)
  const { served, appUrl } = await servePacks(t, smallRepository)
  const id = await tipOf(served)
  const good = fetchV2({ wants: [id] })
  await postFetch(appUrl, good)
  const before = (await traced.started('upload-pack')).length
  const bad: Record<string, [0 | 2, Buffer]> = {
    'length 3': [2, Buffer.from('0003')],
    'an empty packet': [2, Buffer.from('0004')],
    'no hexadecimal digits': [2, Buffer.from('zzzz')],
    'a negative length': [2, Buffer.from('-001')],
    'a prefix': [2, Buffer.from('0x10')],
    'too large': [2, Buffer.from('ffff')],
    'a response end': [2, Buffer.concat([good.subarray(0, -4), Buffer.from('0002')])],
    'a second delimiter': [2, Buffer.concat([good.subarray(0, -4), Buffer.from('0001')])],
    'no command': [2, packets(['agent=x', FLUSH])],
    'cut within a packet': [2, good.subarray(0, -30)],
    'cut between packets': [2, good.subarray(0, -4)],
    'v0, cut within the wants': [0, fetchV0({ wants: [id] }).subarray(0, 60)],
    'v0, no end of the wants': [0, packets([`want ${id} ofs-delta\n`])],
    'v0, broken in the negotiation': [0, Buffer.concat([packets([`want ${id} ofs-delta\n`, FLUSH]), Buffer.from('zzzz')])]
  }
  for (const [what, [protocol, body]] of Object.entries(bad)) {
    for (const send of [
      async () => await postFetch(appUrl, body, { protocol }),
      async () => await postFetch(appUrl, gzipSync(body), { ...GZIP, protocol }),
      async () => await postFetch(appUrl, body, { protocol, chunks: body.length })
    ]) {
      const reply = await send()
      assert.equal(reply.status, 400, `${what}: ${reply.body}`)
      assert.match(reply.body.toString(), /^Malformed request: [a-z0-9 ]+\n$/)
      assert.equal(reply.cache, undefined)
    }
  }
  assert.equal((await traced.started('upload-pack')).length, before)
})

test('damaged gzip is 400 before any git starts', async (t) => {
  const traced = await traceGit(t)
  const { served, appUrl } = await servePacks(t, smallRepository)
  const packed = gzipSync(fetchV2({ wants: [await tipOf(served)] }))
  const damaged = Buffer.from(packed)
  damaged.writeUInt32LE(1, damaged.length - 8)
  for (const [what, body] of Object.entries({
    truncated: packed.subarray(0, -9),
    'without its checksum': packed.subarray(0, -8),
    'with a wrong checksum': damaged,
    'no gzip': Buffer.from('0000'.repeat(30)),
    'garbage behind it': Buffer.concat([packed, Buffer.from('garbage')])
  })) {
    for (const chunks of [undefined, body.length]) {
      const reply = await postFetch(appUrl, body, { ...GZIP, ...(chunks === undefined ? {} : { chunks }) })
      assert.equal(reply.status, 400, what)
      assert.match(reply.body.toString(), /gzip/)
    }
  }
  assert.deepEqual(await traced.started('upload-pack'), [])
})

test('a gzip bomb is 413 and not held either', async (t) => {
  const { served, appUrl } = await servePacks(t, smallRepository)
  const id = await tipOf(served)
  // 60 MB in 180 KB.
  const line = encodePacket(`want ${id}\n`)
  const body = gzipSync(Buffer.concat([packets(['command=fetch', 'object-format=sha1', DELIMITER]), ...Array.from({ length: 1_200_000 }, () => line), packets(['done\n', FLUSH])]))
  const before = process.memoryUsage().arrayBuffers
  let most = 0
  const timer = setInterval(() => { most = Math.max(most, process.memoryUsage().arrayBuffers - before) }, 5)
  const reply = await postFetch(appUrl, body, GZIP)
  clearInterval(timer)
  assert.equal(reply.status, 413)
  assert.ok(most < 24 * 1024 * 1024, `${most} bytes`)
})

test('a body that stops is answered with 408, one that never comes as well, and the connection goes', async (t) => {
  const { appUrl, app } = await servePacks(t, smallRepository, { limits: { idleTimeout: 200 } })
  const { port } = new URL(appUrl)
  for (const sent of ['', '0011command=fetch']) {
    const socket = connect(Number(port), '127.0.0.1')
    socket.write('POST /app.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\nGit-Protocol: version=2\r\nContent-Type: application/x-git-upload-pack-request\r\nContent-Length: 100\r\n\r\n' + sent)
    let answer = ''
    for await (const chunk of socket) answer += chunk
    assert.match(answer, /^HTTP\/1.1 408 /)
  }
  assert.equal(app.gitHttp.active, 0)
})
