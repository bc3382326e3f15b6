import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import { connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2'
import { connect } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { getRaw, sendRaw } from '../fixtures/raw.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'

test('an HTTP/1.0 client gets an answer that ends with the connection', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const { port } = await startServer(t, { root })
  const response = await sendRaw(port, 'GET /app.git/info/refs?service=git-upload-pack HTTP/1.0\r\n\r\n')
  assert.equal(response.status, 200)
  assert.equal(response.headers['transfer-encoding'], undefined)
  assert.ok(response.body.toString().startsWith('001e# service=git-upload-pack\n0000'))
  assert.ok(response.body.toString().endsWith('0000'))
})

test('Expect: 100-continue is answered before the body is sent', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const { port } = await startServer(t, { root })
  const body = '0014command=ls-refs\n0000'
  const socket = connect(port, '127.0.0.1')
  socket.write('POST /app.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nGit-Protocol: version=2\r\n' +
    `Content-Type: application/x-git-upload-pack-request\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`)
  const [first] = await once(socket, 'data') as [Buffer]
  assert.match(first.toString(), /^HTTP\/1\.1 100 Continue/)
  socket.write(body)
  assert.match((await buffer(socket)).toString(), /HTTP\/1\.1 200 OK[^]*refs\/heads\/main/)
})

test('the body reaches git while it is still being sent', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const { port } = await startServer(t, { root })
  const socket = connect(port, '127.0.0.1')
  socket.write('POST /app.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nGit-Protocol: version=2\r\n' +
    'Content-Type: application/x-git-upload-pack-request\r\nTransfer-Encoding: chunked\r\n\r\n')
  // One whole ls-refs request; the body goes on, and git answers already.
  socket.write('18\r\n0014command=ls-refs\n0000\r\n')
  const [first] = await once(socket, 'data') as [Buffer]
  assert.match(first.toString(), /200 OK[^]*refs\/heads\/main/)
  socket.end('0\r\n\r\n')
  await buffer(socket)
})

test('files have length, date, type and ranges, and answer conditional requests', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git', { commits: 30 })
  await git(['repack', '-adq'], { cwd: served })
  const { url, port } = await startServer(t, { root })
  const listing = await (await fetch(`${url}/app.git/objects/info/packs`)).text()
  const name = /pack-[0-9a-f]{40}/.exec(listing)?.[0] as string
  const file = join(served, 'objects/pack', `${name}.pack`)
  const bytes = await readFile(file)
  const target = `/app.git/objects/pack/${name}.pack`

  const whole = await getRaw(port, target)
  assert.equal(whole.status, 200)
  assert.deepEqual(whole.body, bytes)
  assert.equal(whole.headers['content-type'], 'application/x-git-packed-objects')
  assert.equal(whole.headers['content-length'], String(bytes.length))
  assert.equal(whole.headers['last-modified'], (await stat(file)).mtime.toUTCString())
  assert.equal(whole.headers['cache-control'], 'public, max-age=31536000')

  const head = await sendRaw(port, `HEAD ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
  assert.equal(head.headers['content-length'], String(bytes.length))
  assert.equal(head.body.length, 0)

  const part = await getRaw(port, target, ['Range: bytes=100-'])
  assert.equal(part.status, 206)
  assert.equal(part.headers['content-range'], `bytes 100-${bytes.length - 1}/${bytes.length}`)
  assert.deepEqual(part.body, bytes.subarray(100))

  const beyond = await getRaw(port, target, [`Range: bytes=${bytes.length}-`])
  assert.equal(beyond.status, 416)
  assert.equal(beyond.headers['content-range'], `bytes */${bytes.length}`)

  const unchanged = await getRaw(port, target, [`If-Modified-Since: ${whole.headers['last-modified']}`])
  assert.equal(unchanged.status, 304)
  assert.equal(unchanged.body.length, 0)

  const index = await getRaw(port, target.replace(/pack$/, 'idx'))
  assert.equal(index.headers['content-type'], 'application/x-git-packed-objects-toc')
})

test('HEAD of a smart URL tells its headers and starts no git', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const { url } = await startServer(t, { root })
  const response = await fetch(`${url}/app.git/info/refs?service=git-upload-pack`, { method: 'HEAD' })
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'application/x-git-upload-pack-advertisement')
})

test('HTTP/2 without TLS', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const { port } = await startServer(t, { root }, { fastify: { http2: true } as object })
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  const stream = session.request({ ':path': '/app.git/info/refs?service=git-upload-pack', 'git-protocol': 'version=2' })
  const [headers] = await once(stream, 'response') as [IncomingHttpHeaders & { ':status': number }]
  assert.equal(headers[':status'], 200)
  assert.match((await buffer(stream)).toString(), /^000eversion 2\n/)
  // The server's close waits for it.
  session.close()
})
