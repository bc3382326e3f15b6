import assert from 'node:assert/strict'
import { lstat, mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { hashPassword } from '../../lib/access/password.ts'
import type { Authenticate, GitHttpOptions } from '../../lib/index.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { sendRaw, type RawResponse } from '../fixtures/raw.ts'
import { history, makeRepository } from '../fixtures/repository.ts'
import { startServer, type Setup, type TestServer } from '../fixtures/server.ts'

/** Stands in a file, in a branch name and in a commit outside of root: no answer may hold it. */
export const SECRET = 'planted-secret-7f3a91'
export const ZERO = '0'.repeat(40)

/** A folder with a root, a neighbour of root that nobody may see, and a git that leaves a trace. */
export interface Stage {
  folder: string
  /** Holds `app.git`. */
  root: string
  /** Holds `secret.txt` and `secret.git`. */
  outside: string
  /** The option `git`: runs the real git after a line in {@link started} and the environment in {@link environments}. */
  git: { path: string }
  /** The command line of every git that the server started so far. */
  started (): Promise<string[]>
  /** The environment of every git that the server started so far. */
  environments (): Promise<Array<Record<string, string>>>
  /** Forgets both. */
  forget (): Promise<void>
}

export async function makeStage (t: TestContext): Promise<Stage> {
  const folder = await temporaryFolder(t)
  const [root, outside, trace] = [join(folder, 'root'), join(folder, 'outside'), join(folder, 'trace')]
  await Promise.all([root, outside, trace].map((path) => mkdir(path)))
  await makeRepository(root, 'app.git')
  const secret = await makeRepository(outside, 'secret.git', { commits: 0 })
  await git(['fast-import', '--quiet'], { cwd: secret, input: history('refs/heads/main', 1, SECRET) })
  await git(['update-ref', `refs/heads/${SECRET}`, 'refs/heads/main'], { cwd: secret })
  await writeFile(join(outside, 'secret.txt'), `${SECRET}\n`)
  const path = join(folder, 'tracing-git')
  await writeFile(path, `#!/bin/sh\necho "$*" >> '${trace}/started'\nenv -0 > "${trace}/environment.$$"\nexec git "$@"\n`, { mode: 0o755 })
  return {
    folder,
    root,
    outside,
    git: { path },
    started: async () => (await readFile(join(trace, 'started'), 'utf8').catch(() => '')).split('\n').filter((line) => line !== ''),
    environments: async () => {
      const files = (await readdir(trace)).filter((name) => name.startsWith('environment.'))
      return await Promise.all(files.map(async (name) => parseEnvironment(await readFile(join(trace, name), 'utf8'))))
    },
    forget: async () => { for (const name of await readdir(trace)) await rm(join(trace, name)) }
  }
}

/** What `env -0` printed; a newline in a value is still in it. */
export function parseEnvironment (text: string): Record<string, string> {
  return Object.fromEntries(text.split('\0').filter((line) => line !== '').map((line) => {
    const equals = line.indexOf('=')
    return [line.slice(0, equals), line.slice(equals + 1)]
  }))
}

/** Serves the stage under `/git`. */
export async function serve (t: TestContext, stage: Stage, options: GitHttpOptions = {}, setup?: Setup): Promise<TestServer> {
  const where = options.resolve === undefined ? { root: stage.root } : {}
  // How git is started makes no difference to what is refused before.
  return await startServer(t, { prefix: '/git', git: stage.git, spawner: { processes: 0 }, ...where, ...options }, setup)
}

/** Sends one request whose target and headers go out as they are, on a connection that closes after it. */
export async function send (port: number, method: string, target: string, headers: string[] = [], body: string | Buffer = ''): Promise<RawResponse> {
  const bytes = Buffer.from(body)
  const length = method === 'POST' ? [`Content-Length: ${bytes.length}`] : []
  const head = [`${method} ${target} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...length, ...headers, '', ''].join('\r\n')
  return await sendRaw(port, Buffer.concat([Buffer.from(head, 'latin1'), bytes]))
}

/** POSTs to a service with the Content-Type that it wants. */
export async function post (port: number, target: string, body: string | Buffer, headers: string[] = []): Promise<RawResponse> {
  return await send(port, 'POST', target, [contentType(target), ...headers], body)
}

export function contentType (target: string): string {
  const service = /git-[a-z-]+/.exec(target.slice(target.lastIndexOf('/')))?.[0] ?? 'git-upload-pack'
  return `Content-Type: application/x-${service}-request`
}

export function basic (user: string, password: string): string {
  return `Authorization: Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

/** Neither a path of the server nor anything from outside of root. Every answer must pass this. */
export function assertDiscreet (stage: Stage, response: RawResponse, what: string): void {
  for (const word of [stage.folder, process.cwd(), SECRET]) {
    assert.ok(!response.text.includes(word), `${what}: the answer holds ${word}:\n${response.text.slice(0, 600)}`)
  }
}

/** The server still serves; also proves that the requests before were refused by choice. */
export async function assertAlive (server: TestServer, headers: string[] = []): Promise<void> {
  const response = await send(server.port, 'GET', `${new URL(server.url).pathname}/app.git/info/refs?service=git-upload-pack`, headers)
  assert.equal(response.status, 200, response.text)
  assert.match(response.text, /refs\/heads\/main/)
}

/**
 * Makes every file of a folder look as if it was last read long ago and answers a function that asserts that since then
 * nothing was read (where the file system keeps access times), written, added or removed.
 */
export async function sealed (folder: string): Promise<() => Promise<void>> {
  const files = await treeOf(folder)
  // A time before the last change: even `relatime` then notes the next reading.
  for (const file of files) await utimes(file, new Date(0), new Date(1_000_000_000_000))
  const before = await stampsOf(folder)
  return async () => { assert.deepEqual(await stampsOf(folder), before) }
}

async function stampsOf (folder: string): Promise<string[]> {
  return await Promise.all((await treeOf(folder)).map(async (file) => {
    const { size, mtimeMs, atimeMs, ino } = await lstat(file)
    return [file, size, mtimeMs, atimeMs, ino].join(' ')
  }))
}

async function treeOf (folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).sort()
}

/** One packet (gitprotocol-common(5)), written without the help of lib. */
export function packet (payload: string | Buffer): Buffer {
  const bytes = Buffer.from(payload)
  return Buffer.concat([Buffer.from((bytes.length + 4).toString(16).padStart(4, '0')), bytes])
}

/** The body of a push that makes `ref` point to the tip of `source`'s main, as send-pack writes it. */
export async function pushBody (source: string, ref: string, capabilities = ' report-status'): Promise<Buffer> {
  const id = await git(['rev-parse', 'refs/heads/main'], { cwd: source })
  return Buffer.concat([packet(`${ZERO} ${id} ${ref}\0${capabilities}`), Buffer.from('0000'), await packOf(source, id)])
}

async function packOf (source: string, id: string): Promise<Buffer> {
  const { code, bytes, stderr } = await tryGit(['pack-objects', '--revs', '--stdout', '--quiet'], { cwd: source, input: `${id}\n` })
  assert.equal(code, 0, stderr)
  return bytes
}

/** The names of a repository's refs. */
export async function refsOf (repository: string): Promise<string[]> {
  return (await git(['for-each-ref', '--format=%(refname)'], { cwd: repository })).split('\n')
}

/** Path of an object of a repository below `objects/`. */
export async function looseName (repository: string, revision: string): Promise<string> {
  const id = await git(['rev-parse', revision], { cwd: repository })
  return `${id.slice(0, 2)}/${id.slice(2)}`
}

/** The same answer at another second must look the same. */
export function withoutDate ({ text }: RawResponse): string {
  return text.replace(/^date: .*\r\n/im, '')
}

/** Every route and method of the four families. */
export const ROUTES: Array<{ method: string, suffix: string, body?: Buffer }> = [
  ...['info/refs', 'info/refs?service=git-upload-pack', 'info/refs?service=git-receive-pack', 'HEAD', 'objects/info/packs',
    'objects/info/alternates', 'objects/info/http-alternates', `objects/ab/${'cd'.repeat(19)}`, `objects/pack/pack-${'ab'.repeat(20)}.pack`]
    .flatMap((suffix) => [{ method: 'GET', suffix }, { method: 'HEAD', suffix }]),
  { method: 'POST', suffix: 'git-upload-pack', body: Buffer.from('0000') },
  { method: 'POST', suffix: 'git-receive-pack', body: Buffer.from('0000') },
  { method: 'POST', suffix: 'git-receive-pack', body: Buffer.concat([packet(`${ZERO} ${'ab'.repeat(20)} refs/heads/x\0 report-status`), Buffer.from('0000')]) },
  { method: 'POST', suffix: 'git-upload-archive', body: Buffer.from('0000') }
]

/** The one account of the tests. */
export const PASSWORD = 'correct-horse-battery'
export const authenticate: Authenticate = ({ username, password }) => username === 'alice' && password === PASSWORD ? username : null

/** Writes an access file with alice's hash and answers the option. */
export async function accessFile (stage: Stage, rules: string): Promise<{ accessFile: string }> {
  const path = join(stage.folder, 'access.ini')
  await writeFile(path, `[users]\nalice = ${await hashPassword(PASSWORD)}\n${rules}`)
  return { accessFile: path }
}
