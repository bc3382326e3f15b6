/**
 * What do hooks cost? `npm run bench:hooks`
 *
 * 1. 50 small pushes (one commit, one new branch each) to servers without hooks, with every hook that decides or hears, and with
 *    stages in both directions as well, in turns. The hooks do nothing.
 * 2. the growth of the server's peak resident set (VmHWM of /proc/PID/status, so it needs Linux) during a push of one
 *    incompressible file of 600 MB with the stock client.
 *
 * Prints and writes to results/hooks.json.
 */
import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { median, writeResult } from './machine.ts'

const MB = 1_000_000
const PUSHES = 50
const ROUNDS = 2
const KINDS = ['none', 'decide', 'all'] as const
const run = promisify(execFile)
const folder = await mkdtemp(join(tmpdir(), 'fastify-git-http-bench-'))
const work = join(folder, 'work')
const env = { ...process.env, GIT_AUTHOR_NAME: 'b', GIT_AUTHOR_EMAIL: 'b@example.org', GIT_COMMITTER_NAME: 'b', GIT_COMMITTER_EMAIL: 'b@example.org' }

type Kind = typeof KINDS[number]
interface Server { child: ChildProcess, port: number }

async function git (...args: string[]): Promise<string> {
  const { stdout } = await run('git', ['-c', 'core.compression=0', '-c', 'core.bigFileThreshold=1m', ...args], { env })
  return stdout.trim()
}

async function startServer (kind: Kind): Promise<Server> {
  const child = spawn(process.execPath, ['--import', 'tsx', new URL('hooks-server.ts', import.meta.url).pathname, folder, kind], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(child.stdout, 'data') as [Buffer]
  return { child, port: Number(line) }
}

async function stop ({ child }: Server): Promise<void> {
  child.kill()
  await once(child, 'exit')
}

/** The request that creates a branch of its own with one new commit. */
function pushOf (tree: string, number: number): Buffer {
  const commit = execFileSync('git', ['-C', work, 'commit-tree', '-m', `commit ${number}`, tree], { env, encoding: 'utf8' }).trim()
  const pack = execFileSync('git', ['-C', work, 'pack-objects', '--revs', '--stdout', '-q'], { input: `${commit}\n` })
  const command = `${'0'.repeat(40)} ${commit} refs/heads/branch-${number}\0 report-status side-band-64k agent=bench`
  return Buffer.concat([Buffer.from(`${(command.length + 4).toString(16).padStart(4, '0')}${command}0000`), pack])
}

/** Milliseconds from the connection to the end of the answer. */
async function push ({ port }: Server, kind: Kind, body: Buffer): Promise<number> {
  const began = performance.now()
  const sent = request({ port, host: '127.0.0.1', agent: false, method: 'POST', path: `/${kind}.git/git-receive-pack`, headers: { 'content-type': 'application/x-git-receive-pack-request', 'content-length': body.length } })
  sent.end(body)
  const [response] = await once(sent, 'response')
  if (!(await text(response)).includes('ok refs/heads/')) throw new Error('the push failed')
  return performance.now() - began
}

async function resident ({ child }: Server, field: 'VmHWM' | 'VmRSS'): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024
}

async function writeRandom (file: string, size: number): Promise<void> {
  const out = createWriteStream(file)
  for (let left = size; left > 0; left -= MB) if (!out.write(randomFillSync(Buffer.alloc(MB)))) await once(out, 'drain')
  out.end()
  await once(out, 'close')
}

async function measurePushes (): Promise<Record<Kind, number>> {
  const tree = await git('-C', work, 'rev-parse', 'HEAD^{tree}')
  const bodies = Array.from({ length: PUSHES + 5 }, (_, number) => pushOf(tree, number))
  const servers = Object.fromEntries(await Promise.all(KINDS.map(async (kind) => [kind, await startServer(kind)]))) as Record<Kind, Server>
  const times: Record<Kind, number[]> = { none: [], decide: [], all: [] }
  for (const [number, body] of bodies.entries()) {
    for (const kind of KINDS) {
      const time = await push(servers[kind], kind, body)
      // The first ones warm up.
      if (number >= 5) times[kind].push(time)
    }
  }
  await Promise.all(KINDS.map(async (kind) => await stop(servers[kind])))
  return Object.fromEntries(KINDS.map((kind) => [kind, round(median(times[kind]))])) as Record<Kind, number>
}

/** Growth of the peak, in MiB. */
async function measureMemory (kind: Kind, number: number): Promise<number> {
  const server = await startServer(kind)
  const name = `big-${kind}-${number}.git`
  await git('init', '--quiet', '--bare', '--initial-branch=main', join(folder, name))
  await writeFile(`/proc/${server.child.pid}/clear_refs`, '5')
  const before = await resident(server, 'VmRSS')
  await git('-C', work, 'push', '--quiet', `http://127.0.0.1:${server.port}/${name}`, 'main')
  const growth = round(((await resident(server, 'VmHWM')) - before) / 2 ** 20)
  await stop(server)
  await rm(join(folder, name), { recursive: true })
  return growth
}

function round (value: number): number {
  return Math.round(value * 10) / 10
}

try {
  await git('init', '--quiet', '--initial-branch=main', work)
  await writeFile(join(work, 'file'), 'content\n')
  await git('-C', work, 'add', '.')
  await git('-C', work, 'commit', '--quiet', '-m', 'first')
  for (const kind of KINDS) await git('init', '--quiet', '--bare', '--initial-branch=main', join(folder, `${kind}.git`))
  const milliseconds = await measurePushes()
  for (const kind of KINDS) console.log(`${kind}: median of ${PUSHES} small pushes ${milliseconds[kind]} ms, ${round(milliseconds[kind] - milliseconds.none)} ms more than without hooks`)

  await writeRandom(join(work, 'big.bin'), 600 * MB)
  await git('-C', work, 'add', '.')
  await git('-C', work, 'commit', '--quiet', '-m', 'big')
  const each: Record<Kind, number[]> = { none: [], decide: [], all: [] }
  for (let number = 1; number <= ROUNDS; number++) for (const kind of KINDS) each[kind].push(await measureMemory(kind, number))
  for (const kind of KINDS) console.log(`${kind}: a push of 600 MB grew the server by ${each[kind].join(' and ')} MiB`)
  writeResult('hooks', { smallPushes: { pushes: PUSHES, medianMilliseconds: milliseconds }, growthMiB: Object.fromEntries(KINDS.map((kind) => [kind, Math.max(...each[kind])])), each })
} finally {
  await rm(folder, { recursive: true, force: true })
}
