import assert from 'node:assert/strict'
import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { getRaw, sendRaw } from '../fixtures/raw.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'
import { gitShim, writeScript } from '../fixtures/shims.ts'

const POST = 'POST /app.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-git-upload-pack-request\r\n'

for (const [how, body] of [['exits with 1', 'echo secret /srv/path >&2; exit 1'], ['is killed', 'kill -9 $$']] as const) {
  test(`a git that ${how} before its first byte is a 500 without details, and a log line with them`, async (t) => {
    const root = await temporaryFolder(t)
    await makeRepository(root, 'app.git')
    const { port, log } = await startServer(t, { root, git: { path: await gitShim(root, 'upload-pack', body) } })
    const response = await getRaw(port, '/app.git/info/refs?service=git-upload-pack')
    assert.equal(response.status, 500)
    assert.doesNotMatch(response.text, /secret|srv/)
    assert.match(response.body.toString(), /^git failed on the server \(request [^)]+\)\n$/)
    const line = log.find(({ msg }) => msg === 'git ended with an error')
    assert.equal(line?.['repository'], 'app.git')
    if (how === 'exits with 1') assert.match(String(line?.['stderr']), /secret/)
    else assert.equal(line?.['signal'], 'SIGKILL')
  })
}

for (const [how, end] of [['is killed', 'kill -9 $$'], ['exits with an error', 'exit 128']] as const) {
  test(`a git that ${how} after bytes were sent never looks complete`, async (t) => {
    const root = await temporaryFolder(t)
    await makeRepository(root, 'app.git')
    const { port } = await startServer(t, { root, git: { path: await gitShim(root, 'upload-pack', `printf '0008NAK\\n0100xyz'; while [ ! -e ${root}/sent ]; do sleep 0.05; done; ${end}`) } })
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(`${POST}Content-Length: 8\r\nConnection: close\r\n\r\n00000000`)
    const [first] = await once(socket, 'data') as [Buffer]
    assert.match(first.toString(), /^HTTP\/1\.1 200 [^]*NAK/)
    await writeFile(join(root, 'sent'), '')
    const rest = await buffer(socket).catch(() => Buffer.alloc(0))
    assert.doesNotMatch(rest.toString(), /\r\n0\r\n\r\n$/, 'no last chunk: the client knows that something is missing')
  })
}

test('an error message of git in its protocol is delivered whole, although git exits with 128', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const { port } = await startServer(t, { root, git: { path: await gitShim(root, 'upload-pack', "printf '0015ERR not our ref\\n\\n'; exit 128") } })
  const response = await sendRaw(port, `${POST}Content-Length: 8\r\nConnection: close\r\n\r\n00000000`)
  assert.match(response.text, /ERR not our ref[^]*\r\n0\r\n\r\n$/)
})

test('a git that cannot be started is a 503 with Retry-After, and the server lives', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const path = await writeScript(root, 'git', 'exec git "$@"')
  const { url, port } = await startServer(t, { root, git: { path } })
  await git(['ls-remote', `${url}/app.git`])
  await rm(path)
  for (const target of ['/app.git/info/refs?service=git-upload-pack', '/app.git/info/refs', '/app.git/HEAD']) {
    const response = await getRaw(port, target)
    assert.equal(response.status, 503, target)
    assert.match(response.headers['retry-after'] ?? '', /^\d+$/)
    assert.doesNotMatch(response.text, new RegExp(root))
  }
  await writeScript(root, 'git', 'exec git "$@"')
  await git(['ls-remote', `${url}/app.git`])
})

test('a process left behind that holds git\'s output is ended, and the answer is complete', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git')
  const path = await gitShim(root, 'upload-pack', `printf '0008NAK\\n0000'; (LEFT=${root} exec sleep 1000) & exit 0`)
  const { port, app } = await startServer(t, { root, git: { path } })
  const response = await sendRaw(port, `${POST}Content-Length: 8\r\nConnection: close\r\n\r\n00000000`)
  assert.match(response.text, /NAK[^]*\r\n0\r\n\r\n$/)
  assert.equal(app.gitHttp.active, 0)
  assert.deepEqual(await processesAbout(served), [])
  assert.deepEqual(await processesAbout(`LEFT=${root}`), [])
})

test('a repository that is deleted during its life is missing for the next request', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git')
  const { url } = await startServer(t, { root })
  await git(['ls-remote', `${url}/app.git`])
  await rm(served, { recursive: true })
  assert.match((await tryGit(['ls-remote', `${url}/app.git`])).stderr, /not found/)
})

test('a stopped client meets the idle deadline in both directions', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git')
  const { port, app } = await startServer(t, { root, limits: { idleTimeout: 300 } })
  const response = await sendRaw(port, `${POST}Content-Length: 100\r\n\r\n0032want`)
  assert.equal(response.status, 408)
  await eventually(async () => (await processesAbout(join(served))).length === 0 && app.gitHttp.active === 0, 2_000, 'git ends')
})
