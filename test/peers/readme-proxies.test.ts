/** The proxy configurations of the README, as they stand there, in front of the command with two workers. */
import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { runCommand, startCommand, type RunningCommand } from '../fixtures/command.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { eventually } from '../fixtures/processes.ts'
import { getRaw } from '../fixtures/raw.ts'
import { commitRandom, history, makeRepository } from '../fixtures/repository.ts'
import { apache } from './apache.ts'
import { haproxy } from './haproxy.ts'
import { nginx } from './nginx.ts'
import { findProgram, run } from './programs.ts'
import { cleanupFirst, startProxy, type Proxy, type ProxyProgram } from './proxy.ts'
import { pushBody } from './raw-push.ts'
import { readmeBlock, replaceIn } from './readme.ts'
import { tap } from './tap.ts'
import { PASSWORD, USER } from './team-server.ts'

const TRACE = { GIT_TRACE_CURL: '1', GIT_TRACE_CURL_NO_DATA: '1' }

interface Setting {
  command: RunningCommand
  proxy: Proxy
  folder: string
  repository: string
  /** Path of the repository's URL. */
  path: string
  url: (password?: string, port?: number) => string
}

interface Documented {
  name: string
  open: () => Promise<ProxyProgram>
  /** Of its block. */
  language: string
  /** What its addresses are in the README, and what they are here. */
  addresses: (port: string, upstream: string) => Record<string, string>
  prefix: string
}

const DOCUMENTED: Documented[] = [
  { name: 'nginx', open: nginx, language: 'nginx', addresses: (port, upstream) => ({ 'listen 80;': `listen ${port};`, '127.0.0.1:8080': upstream }), prefix: '/git' },
  { name: 'Apache', open: apache, language: 'apache', addresses: (port, upstream) => ({ '*:80>': `*:${port}>`, '127.0.0.1:8080': upstream }), prefix: '/git' },
  { name: 'HAProxy', open: haproxy, language: 'haproxy', addresses: (port, upstream) => ({ '127.0.0.1:8090': `127.0.0.1:${port}`, '127.0.0.1:8091': upstream }), prefix: '' }
]

for (const documented of DOCUMENTED) {
  const { name } = documented

  test(`${name} of the README: clone, push of 50 MB in chunks, fetch with a compressed request`, async (t) => {
    const { folder, repository, url } = await start(t, documented)
    const copy = join(folder, 'copy')
    await git(['clone', '--quiet', url(), copy])
    const commit = await commitRandom(copy, 'big.bin', 50_000_000)
    const pushed = await tryGit(['push', 'origin', 'main'], { cwd: copy, env: TRACE })
    assert.equal(pushed.code, 0, pushed.stderr)
    assert.match(pushed.stderr, /=> Send header: Transfer-Encoding: chunked/)
    assert.equal(await git(['rev-parse', 'main'], { cwd: repository }), commit)

    await git(['fast-import', '--quiet'], { cwd: repository, input: history('refs/heads/old', 50) })
    await git(['fetch', '--quiet'], { cwd: copy })
    for (let i = 0; i < 30; i++) await git(['fast-import', '--quiet'], { cwd: repository, input: history(`refs/heads/new-${i}`, 1) })
    const fetched = await tryGit(['fetch'], { cwd: copy, env: TRACE })
    assert.equal(fetched.code, 0, fetched.stderr)
    assert.match(fetched.stderr, /=> Send header: Content-Encoding: gzip/)
    assert.equal(await git(['rev-parse', 'origin/new-29'], { cwd: copy }), await git(['rev-parse', 'new-29'], { cwd: repository }))

    const whole = join(folder, 'whole')
    await git(['clone', '--quiet', '--bare', url(), whole])
    await git(['fsck', '--strict'], { cwd: whole })
    assert.equal(await git(['rev-parse', 'main'], { cwd: whole }), commit)
  })

  test(`${name} of the README: a push waits for 100 Continue, and the log has the client's address`, async (t) => {
    const { command, proxy, folder, repository, path, url } = await start(t, documented)
    const copy = join(folder, 'copy')
    const client = await tap(t, proxy.port, '127.0.0.2')
    await git(['-c', 'http.extraHeader=X-Forwarded-For: 203.0.113.7', 'clone', '--quiet', url(PASSWORD, client.port), copy])
    const { body, commit } = await pushBody(copy, 'raw', 2_000_000)
    const { code, stdout, stderr } = await run(await findProgram('curl', 'curl'), [
      '--verbose', '--silent', '--data-binary', '@-', '--user', `${USER}:${PASSWORD}`, '--expect100-timeout', '60',
      '--header', 'Expect: 100-continue', '--header', 'Transfer-Encoding: chunked',
      '--header', 'Content-Type: application/x-git-receive-pack-request',
      `http://127.0.0.1:${proxy.port}${path}/git-receive-pack`
    ], { input: body })
    assert.equal(code, 0, stderr)
    assert.match(stderr, /^< HTTP\/1\.1 100 Continue/m)
    assert.match(stdout, /unpack ok\n/)
    assert.equal(await git(['rev-parse', 'raw'], { cwd: repository }), commit)
    const addresses = (): unknown[] => operations(command).filter(({ service, outcome }) => service === 'upload-pack' && outcome === 'completed').map(({ address }) => address)
    await eventually(async () => addresses().length > 0, 5_000, 'the clone is logged')
    assert.deepEqual(new Set(addresses()), new Set(['127.0.0.2']))
  })

  test(`${name} of the README: without a password and with a wrong one nothing is given`, async (t) => {
    const { proxy, path, url } = await start(t, documented)
    const anonymous = await tryGit(['ls-remote', `http://127.0.0.1:${proxy.port}${path}`])
    assert.match(anonymous.stderr, /could not read Username/)
    const wrong = await tryGit(['ls-remote', url('guessed')])
    assert.match(wrong.stderr, /Authentication failed/)
    assert.equal(anonymous.stdout + wrong.stdout, '')
    const { status, headers } = await getRaw(proxy.port, `${path}/info/refs?service=git-upload-pack`)
    assert.deepEqual([status, headers['www-authenticate']], [401, 'Basic realm="git", charset="UTF-8"'])
  })

  test(`${name} of the README: while workers are replaced no clone and no push fails`, async (t) => {
    const { command, folder, url } = await start(t, documented)
    const workers = (): number[] => lines(command).filter(({ msg }) => msg === 'workers serve').at(-1)?.['workers'] as number[]
    const over = new AbortController()
    let [clones, pushes] = [0, 0]
    const clients = Promise.all([
      (async () => {
        for (const into = join(folder, 'again'); !over.signal.aborted; clones++) {
          const { code, stderr } = await tryGit(['clone', '--quiet', url(), into])
          assert.equal(code, 0, stderr)
          await rm(into, { recursive: true })
        }
      })(),
      (async () => {
        const copy = join(folder, 'copy')
        for (await git(['clone', '--quiet', url(), copy]); !over.signal.aborted; pushes++) {
          await commitRandom(copy, 'more.bin', 1_500_000)
          const { code, stderr } = await tryGit(['push', '--quiet', 'origin', 'main'], { cwd: copy })
          assert.equal(code, 0, stderr)
        }
      })()
    ])
    const replaced = (async () => {
      const before = workers()
      command.child.kill('SIGHUP')
      await eventually(async () => workers().every((pid) => !before.includes(pid)), 30_000, 'new workers')
      const [clonesBefore, pushesBefore] = [clones, pushes]
      await eventually(async () => clones > clonesBefore + 1 && pushes > pushesBefore + 1, 60_000, 'the new ones serve')
    })().finally(() => { over.abort() })
    await Promise.race([clients, replaced])
    await Promise.all([clients, replaced])
  })
}

async function start (t: TestContext, { open, language, addresses, prefix }: Documented): Promise<Setting> {
  const program = await open()
  const cleanup = cleanupFirst(t)
  const folder = await temporaryFolder(t)
  const root = join(folder, 'root')
  const repository = await makeRepository(root, 'team/app.git', { commits: 3 })
  const accessFile = join(folder, 'access.ini')
  const { stdout: line } = await runCommand(t, ['passwd', USER], { input: PASSWORD })
  await writeFile(accessFile, `[users]\n${line}\n[access]\n${USER} = *=rw\nanonymous = *=\n`)
  const args = ['--root', root, '--host', '127.0.0.1', '--trust-proxy', '--workers', '2', '--access-file', accessFile]
  const command = await startCommand(t, prefix === '' ? args : [...args, '--prefix', prefix], { env: { TMPDIR: folder } })
  const block = await readmeBlock(language)
  const proxy = await startProxy(cleanup, { ...program, site: replaceIn(block, addresses('PORT', 'UPSTREAM')) }, `127.0.0.1:${command.port}`)
  const path = `${prefix}/team/app.git`
  return { command, proxy, folder, repository, path, url: (password = PASSWORD, port = proxy.port) => `http://${USER}:${encodeURIComponent(password)}@127.0.0.1:${port}${path}` }
}

function lines (command: RunningCommand): Array<Record<string, unknown>> {
  return command.log().trim().split('\n').filter((line) => line.endsWith('}')).map((line) => JSON.parse(line))
}

function operations (command: RunningCommand): Array<Record<string, unknown>> {
  return lines(command).filter(({ msg }) => msg === 'git operation')
}
