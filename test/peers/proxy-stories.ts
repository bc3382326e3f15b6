import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { git, gitEnvironment, tryGit } from '../fixtures/git.ts'
import { eventually } from '../fixtures/processes.ts'
import { getRaw } from '../fixtures/raw.ts'
import { commitRandom, history, makeRepository } from '../fixtures/repository.ts'
import { findProgram, run } from './programs.ts'
import { cleanupFirst, startProxy, type Proxy, type ProxyProgram } from './proxy.ts'
import { StoppedClone } from './raw-clone.ts'
import { ChunkedPush, pushBody } from './raw-push.ts'
import { tap, type Tap } from './tap.ts'
import { PASSWORD, startTeamServer, USER, type Seen, type TeamServer } from './team-server.ts'

interface Setting {
  server: TeamServer
  proxy: Proxy
  /** Between the proxy and the server. */
  upstream: Tap
  /** The repository's URL through the proxy, with alice's password. */
  url: string
}

export interface Stories {
  name: string
  open: () => Promise<ProxyProgram>
  /** Breaks the site's configuration, so that request bodies are collected. */
  collecting: (site: string) => string
  /** Changes the site's configuration so that `/git/` is the server's `/`. */
  toRoot: (site: string) => string
}

/** What must hold behind every reverse proxy. */
export function proxyStories ({ name, open, collecting, toRoot }: Stories): void {
  async function start (t: TestContext, edit?: (site: string) => string, prefix?: string): Promise<Setting> {
    const program = await open()
    const cleanup = cleanupFirst(t)
    const server = await startTeamServer(t, { fastify: { trustProxy: true } }, prefix)
    const upstream = await tap(cleanup, server.port)
    const proxy = await startProxy(cleanup, program, `127.0.0.1:${upstream.port}`, edit)
    return { server, proxy, upstream, url: urlOf(proxy.port) }
  }

  test(`${name}: clone, and a push of 30 MB in chunks`, async (t) => {
    const { server, url } = await start(t)
    const copy = await clone(server, url)
    assert.equal(await git(['rev-parse', 'HEAD'], { cwd: copy }), await git(['rev-parse', 'main'], { cwd: server.repository }))
    const commit = await commitRandom(copy, 'big.bin', 30_000_000)
    await git(['push', '--quiet', 'origin', 'main'], { cwd: copy })
    assert.equal(await git(['rev-parse', 'main'], { cwd: server.repository }), commit)
    await git(['fsck', '--strict', '--full'], { cwd: server.repository })
    const push = requests(server, '/git-receive-pack').at(-1)
    assert.equal(push?.headers['transfer-encoding'], 'chunked')
  })

  test(`${name}: a push reaches the server while it is being sent`, async (t) => {
    const { server, proxy, upstream, url } = await start(t)
    const { body, commit } = await pushBody(await clone(server, url), 'raw', 2_000_000)
    const half = body.length >> 1
    const before = upstream.bytes
    const push = await ChunkedPush.open(proxy.port, '/git/team/app.git')
    t.after(() => push.destroy())

    push.send(body.subarray(0, half))
    await upstream.received(before + half)
    assert.equal(requests(server, '/git-receive-pack').length, 1, 'the host has seen the request')
    assert.deepEqual(await proxy.spooled(), [])

    push.send(body.subarray(half))
    assert.match(await push.end(), /^HTTP\/1\.1 200 [^]*unpack ok\n[^]*ok refs\/heads\/raw\n/)
    assert.equal(await git(['rev-parse', 'raw'], { cwd: server.repository }), commit)
    assert.deepEqual(await proxy.spooled(), [])
  })

  test(`${name}: the proof above notices a configuration that collects the push`, async (t) => {
    const { server, proxy, upstream, url } = await start(t, collecting)
    const { body } = await pushBody(await clone(server, url), 'raw', 2_000_000)
    const before = upstream.bytes
    const push = await ChunkedPush.open(proxy.port, '/git/team/app.git')
    t.after(() => push.destroy())
    push.send(body.subarray(0, body.length >> 1))
    await eventually(async () => (await proxy.spooled()).length > 0, 20_000, 'a temporary file')
    assert.equal(upstream.bytes, before)
    assert.equal(requests(server, '/git-receive-pack').length, 0)
  })

  test(`${name}: a client that stops reading stops git, and nothing piles up`, async (t) => {
    const { server, proxy, upstream, url } = await start(t)
    await git(['push', '--quiet', 'origin', 'main'], { cwd: await bigCopy(server, url) })
    const stopped = await StoppedClone.open(proxy.port, '/git/team/app.git', await git(['rev-parse', 'main'], { cwd: server.repository }))
    t.after(() => stopped.destroy())
    await standstill(() => upstream.answered)
    assert.equal(server.app.gitHttp.active, 1)
    assert.deepEqual(await proxy.spooled(), [])
    assert.match(await stopped.readAll(), /^HTTP\/1\.1 200 [^]*PACK/)
  })

  test(`${name}: a hook's output reaches the client while the hook runs`, async (t) => {
    const { server, url } = await start(t)
    const copy = await clone(server, url)
    const gate = join(server.folder, 'gate')
    await run('mkfifo', [gate])
    await writeFile(join(server.repository, 'hooks', 'post-receive'), `#!/bin/sh\necho working\nread line <'${gate}'\necho $line\n`, { mode: 0o755 })

    const push = spawn('git', ['push', 'origin', 'main:topic'], { cwd: copy, env: gitEnvironment(), stdio: ['ignore', 'ignore', 'pipe'] })
    const exited = once(push, 'close')
    t.after(() => push.kill())
    let output = ''
    push.stderr.on('data', (chunk) => { output += String(chunk) })
    const signal = AbortSignal.timeout(20_000)
    while (!output.includes('remote: working')) await once(push.stderr, 'data', { signal })
    await writeFile(gate, 'finished\n')
    assert.deepEqual(await exited, [0, null])
    assert.match(output, /remote: finished/)
  })

  test(`${name}: a hook learns the client's address, whatever the client claims`, async (t) => {
    const { server, proxy, url } = await start(t)
    const copy = await clone(server, url)
    await writeFile(join(server.repository, 'hooks', 'post-receive'), '#!/bin/sh\necho "from $REMOTE_ADDR as $REMOTE_USER"\n', { mode: 0o755 })
    const client = await tap(t, proxy.port, '127.0.0.2')
    const { code, stderr } = await tryGit(['-c', 'http.extraHeader=X-Forwarded-For: 203.0.113.7', 'push', urlOf(client.port), 'main:topic'], { cwd: copy })
    assert.equal(code, 0, stderr)
    assert.match(stderr, /remote: from 127\.0\.0\.2 as alice\b/)
  })

  test(`${name}: without a password and with a wrong one nothing is given`, async (t) => {
    const { server, proxy } = await start(t)
    const anonymous = await tryGit(['ls-remote', `http://127.0.0.1:${proxy.port}/git/team/app.git`])
    assert.match(anonymous.stderr, /could not read Username/)
    const wrong = await tryGit(['ls-remote', urlOf(proxy.port, 'guessed')])
    assert.match(wrong.stderr, /Authentication failed/)
    assert.equal(anonymous.stdout + wrong.stdout, '')
    const { status, headers } = await getRaw(proxy.port, '/git/team/app.git/info/refs?service=git-upload-pack')
    assert.equal(status, 401)
    assert.equal(headers['www-authenticate'], 'Basic realm="git", charset="UTF-8"')
    assert.ok(server.seen.length > 0)
  })

  test(`${name}: a negotiation arrives compressed`, async (t) => {
    const { server, url } = await start(t)
    await git(['fast-import', '--quiet'], { cwd: server.repository, input: history('refs/heads/old', 50) })
    const copy = await clone(server, url)
    for (let i = 0; i < 30; i++) {
      await git(['fast-import', '--quiet'], { cwd: server.repository, input: history(`refs/heads/new-${i}`, 1) })
    }
    await git(['fetch', '--quiet', 'origin'], { cwd: copy })
    assert.equal(await git(['rev-parse', 'origin/new-29'], { cwd: copy }), await git(['rev-parse', 'new-29'], { cwd: server.repository }))
    const compressed = requests(server, '/git-upload-pack').filter(({ headers }) => headers['content-encoding'] === 'gzip')
    assert.ok(compressed.length > 0)
  })

  test(`${name}: a push that waits for 100 Continue is told to go on`, async (t) => {
    const { server, proxy, url } = await start(t)
    const { body, commit } = await pushBody(await clone(server, url), 'raw', 2_000_000)
    const { code, stdout, stderr } = await run(await findProgram('curl', 'curl'), [
      '--verbose', '--silent', '--data-binary', '@-', '--user', `${USER}:${PASSWORD}`, '--expect100-timeout', '60',
      '--header', 'Expect: 100-continue', '--header', 'Transfer-Encoding: chunked',
      '--header', 'Content-Type: application/x-git-receive-pack-request',
      `http://127.0.0.1:${proxy.port}/git/team/app.git/git-receive-pack`
    ], { input: body })
    assert.equal(code, 0, stderr)
    assert.match(stderr, /^< HTTP\/1\.1 100 Continue/m)
    assert.match(stdout, /unpack ok\n/)
    assert.equal(await git(['rev-parse', 'raw'], { cwd: server.repository }), commit)
  })

  test(`${name}: only /git/ is passed on, names as they are`, async (t) => {
    const { server, proxy } = await start(t)
    await makeRepository(join(server.folder, 'repositories'), 'team/c++ & ü%41.git')
    await git(['ls-remote', '--exit-code', urlOf(proxy.port, PASSWORD, `team/${encodeURIComponent('c++ & ü%41.git')}`)])
    const before = server.seen.length
    assert.equal((await getRaw(proxy.port, '/team/app.git/HEAD')).status, 404)
    assert.equal((await getRaw(proxy.port, '/gitx/team/app.git/HEAD')).status, 404)
    assert.equal(server.seen.length, before)
  })

  test(`${name}: /git/ can be the server's root`, async (t) => {
    const { server, url } = await start(t, toRoot, '')
    const copy = await clone(server, url)
    await git(['push', '--quiet', 'origin', 'main:topic'], { cwd: copy })
    assert.ok(server.seen.every((request) => request.url.startsWith('/team/app.git/')))
    assert.equal(await git(['rev-parse', 'topic'], { cwd: server.repository }), await git(['rev-parse', 'main'], { cwd: server.repository }))
  })
}

function urlOf (port: number, password = PASSWORD, repository = 'team/app.git'): string {
  return `http://${USER}:${encodeURIComponent(password)}@127.0.0.1:${port}/git/${repository}`
}

async function clone ({ folder }: TeamServer, url: string): Promise<string> {
  const path = join(folder, 'copy')
  await git(['clone', '--quiet', url, path])
  return path
}

/** A clone with a commit of 60 MB that the server does not have. */
async function bigCopy (server: TeamServer, url: string): Promise<string> {
  const copy = await clone(server, url)
  await commitRandom(copy, 'big.bin', 60_000_000)
  return copy
}

/** Waits until an answer that has begun with its pack stands still; that nothing happens is no event. */
async function standstill (count: () => number): Promise<void> {
  let [before, same] = [0, 0]
  await eventually(async () => {
    same = count() > 500_000 && count() === before ? same + 1 : 0
    before = count()
    return same >= 40
  }, 60_000, 'a standstill')
}

function requests ({ seen }: TeamServer, suffix: string): Seen[] {
  return seen.filter(({ url }) => url.endsWith(suffix))
}
