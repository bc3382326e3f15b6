import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { selfSigned } from '../fixtures/certificate.ts'
import { startCommand, type RunningCommand } from '../fixtures/command.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit, type GitResult } from '../fixtures/git.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { commitRandom, makeWorkingCopy } from '../fixtures/repository.ts'

/** More than the socket buffers between server and client hold. */
const SIZE = 40 * 1024 * 1024
/** Bytes after which the client stops reading. */
const PAUSE_AFTER = 1024 * 1024

test('SIGTERM while a clone is in flight: it is finished, new ones are refused, exit code 0', async (t) => {
  const { server, folder, clone, resume, target } = await startPausedClone(t)
  server.child.kill('SIGTERM')
  await server.logged('"transfers":1,"msg":"stopping')
  // Whoever asks is told, on new connections as well.
  const ask = async (path: string): Promise<number> => (await fetch(`${server.url}${path}`)).status
  await eventually(async () => await ask('/-/ready') === 503, 5_000, 'it is not ready for more')
  assert.equal(await ask('/-/live'), 200)
  assert.equal(await ask('/app/info/refs?service=git-upload-pack'), 503)
  assert.equal(server.child.exitCode, null, 'it waits')
  resume()
  const { code, stderr } = await clone
  assert.equal(code, 0, stderr)
  await git(['fsck', '--full'], { cwd: target })
  assert.deepEqual((({ code, signal }) => ({ code, signal }))(await server.ended), { code: 0, signal: null })
  assert.deepEqual(await processesAbout(folder), [])
})

test('a second signal ends at once, and leaves no git behind', async (t) => {
  const { server, folder, clone, resume } = await startPausedClone(t)
  server.child.kill('SIGTERM')
  await server.logged('"msg":"stopping')
  server.child.kill('SIGTERM')
  assert.equal((await server.ended).code, 143)
  resume()
  assert.notEqual((await clone).code, 0)
  await eventually(async () => (await processesAbout(folder)).length === 0, 5_000, 'git has ended')
})

test('clients that stay connected and say nothing do not keep the server from stopping', async (t) => {
  const files = await temporaryFolder(t)
  const { cert, key } = selfSigned()
  await writeFile(join(files, 'cert.pem'), cert)
  await writeFile(join(files, 'key.pem'), key)
  const cases = [[], ['--tls-cert', join(files, 'cert.pem'), '--tls-key', join(files, 'key.pem')]]
  for (const args of cases) {
    const server = await startCommand(t, ['--root', await temporaryFolder(t), ...args])
    const silent = connect(server.port, 'localhost').on('error', () => {})
    await once(silent, 'connect')
    t.after(() => { silent.destroy() })
    if (args.length > 0) {
      const session = connectHttp2(server.url, { ca: cert }).on('error', () => {})
      t.after(() => { session.destroy() })
      const request = session.request({ ':path': '/' })
      const [headers] = await once(request, 'response')
      assert.equal(headers[':status'], 200)
      request.resume()
    } else {
      const idle = connect(server.port, 'localhost').on('error', () => {})
      t.after(() => { idle.destroy() })
      idle.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
      await once(idle, 'data')
    }
    const start = Date.now()
    server.child.kill('SIGINT')
    assert.equal((await server.ended).code, 0)
    assert.ok(Date.now() - start < 15_000, `${Date.now() - start} ms`)
  }
})

interface PausedClone {
  server: RunningCommand
  folder: string
  target: string
  clone: Promise<GitResult>
  /** Lets the client read on. */
  resume: () => void
}

/** A real clone through a relay that stops reading from the server in the middle of the pack. */
async function startPausedClone (t: TestContext): Promise<PausedClone> {
  const folder = await temporaryFolder(t)
  const target = join(await temporaryFolder(t), 'app')
  await commitRandom(await makeWorkingCopy(folder, 'app'), 'large.bin', SIZE)
  const server = await startCommand(t, ['--root', folder])
  let passed = 0
  let paused: Socket | undefined
  let arrived: () => void
  const reached = new Promise<void>((resolve) => { arrived = resolve })
  const relay = createServer((client) => {
    const upstream = connect(server.port, 'localhost')
    for (const socket of [client, upstream]) {
      socket.on('error', () => {})
      t.after(() => { socket.destroy() })
    }
    client.pipe(upstream)
    upstream.on('close', () => client.end())
    upstream.on('data', (chunk) => {
      client.write(chunk)
      const before = passed
      passed += chunk.length
      if (before > PAUSE_AFTER || passed <= PAUSE_AFTER) return
      paused = upstream.pause()
      arrived()
    })
  }).listen(0, '127.0.0.1')
  t.after(() => { relay.close() })
  await once(relay, 'listening')
  const { port } = relay.address() as AddressInfo
  const clone = tryGit(['clone', '--quiet', `http://127.0.0.1:${port}/app`, target])
  await reached
  return { server, folder, target, clone, resume: () => { paused?.resume() } }
}
