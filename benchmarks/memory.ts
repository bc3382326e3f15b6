/**
 * How much memory does a large transfer cost the server? `npm run bench:memory`
 *
 * 1. push and clone of one incompressible file of 600 MB with the stock client, over chunked HTTP;
 * 2. 50 clients that read a 300 MB clone at 1 MB/s each, watched for `--seconds` (default 60).
 *
 * Prints and writes to results/memory.json the growth of the server's peak resident set (VmHWM of /proc/PID/status,
 * reset before each step), so it needs Linux.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { median, writeResult } from './machine.ts'

const MB = 1_000_000
const ROUNDS = 3
const CLIENTS = 50
const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' } } })
const seconds = Number(values.seconds)
const run = promisify(execFile)
const folder = await mkdtemp(join(tmpdir(), 'fastify-git-http-bench-'))
const identity = { GIT_AUTHOR_NAME: 'b', GIT_AUTHOR_EMAIL: 'b@example.org', GIT_COMMITTER_NAME: 'b', GIT_COMMITTER_EMAIL: 'b@example.org' }

async function git (...args: string[]): Promise<string> {
  const { stdout } = await run('git', ['-c', 'core.compression=0', '-c', 'core.bigFileThreshold=1m', ...args], { env: { ...process.env, ...identity } })
  return stdout.trim()
}

async function writeRandom (file: string, size: number): Promise<void> {
  const out = createWriteStream(file)
  for (let left = size; left > 0; left -= MB) if (!out.write(randomFillSync(Buffer.alloc(MB)))) await once(out, 'drain')
  out.end()
  await once(out, 'close')
}

async function startServer (): Promise<{ child: ChildProcess, port: number }> {
  const child = spawn(process.execPath, ['--import', 'tsx', new URL('serve.ts', import.meta.url).pathname, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(child.stdout, 'data') as [Buffer]
  return { child, port: Number(line) }
}

async function resident (child: ChildProcess, field: 'VmHWM' | 'VmRSS'): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024
}

/** Growth of the server's peak during `step`, in MiB. */
async function growth (child: ChildProcess, step: () => Promise<unknown>): Promise<number> {
  await writeFile(`/proc/${child.pid}/clear_refs`, '5')
  const before = await resident(child, 'VmRSS')
  await step()
  return Math.round(((await resident(child, 'VmHWM')) - before) / 2 ** 20 * 10) / 10
}

/** A client that reads at one rate and checks nothing. */
async function readSlowly (port: number, id: string, bytesPerSecond: number): Promise<number> {
  const body = `0011command=fetch0001000fno-progress0032want ${id}\n0009done\n0000`
  const socket = connect(port, '127.0.0.1')
  socket.write('POST /slow.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\nGit-Protocol: version=2\r\n' +
    `Content-Type: application/x-git-upload-pack-request\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  let received = 0
  const started = Date.now()
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length
    socket.pause()
  })
  for (let elapsed = 0; elapsed < seconds; elapsed = (Date.now() - started) / 1000) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    if (received < bytesPerSecond * elapsed) socket.resume()
  }
  socket.destroy()
  return received
}

try {
  await git('init', '--quiet', '--initial-branch=main', join(folder, 'work'))
  await writeRandom(join(folder, 'work', 'big.bin'), 600 * MB)
  await git('-C', join(folder, 'work'), 'add', '.')
  await git('-C', join(folder, 'work'), 'commit', '--quiet', '-m', 'big')
  const pushed = await git('-C', join(folder, 'work'), 'rev-parse', 'HEAD')
  const large: Array<{ push: number, clone: number }> = []
  for (let round = 1; round <= ROUNDS; round++) {
    const { child, port } = await startServer()
    await git('init', '--quiet', '--bare', '--initial-branch=main', join(folder, `big-${round}.git`))
    const url = `http://127.0.0.1:${port}/big-${round}.git`
    const push = await growth(child, async () => await git('-C', join(folder, 'work'), 'push', '--quiet', url, 'main'))
    if (await git('-C', join(folder, `big-${round}.git`), 'rev-parse', 'main') !== pushed) throw new Error('the push did not arrive')
    const clone = await growth(child, async () => await git('clone', '--quiet', '--bare', url, join(folder, 'clone')))
    if (await git('-C', join(folder, 'clone'), 'rev-parse', 'main') !== pushed) throw new Error('the clone differs')
    await git('-C', join(folder, 'clone'), 'fsck')
    large.push({ push, clone })
    console.log(`round ${round}: push of 600 MB grew the server by ${push} MiB, clone of it by ${clone} MiB`)
    child.kill()
    await once(child, 'exit')
    await rm(join(folder, 'clone'), { recursive: true })
    await rm(join(folder, `big-${round}.git`), { recursive: true })
  }

  await git('init', '--quiet', '--initial-branch=main', join(folder, 'other'))
  await writeRandom(join(folder, 'other', 'big.bin'), 300 * MB)
  await git('-C', join(folder, 'other'), 'add', '.')
  await git('-C', join(folder, 'other'), 'commit', '--quiet', '-m', 'big')
  await git('clone', '--quiet', '--bare', join(folder, 'other'), join(folder, 'slow.git'))
  const id = await git('-C', join(folder, 'slow.git'), 'rev-parse', 'main')
  const { child, port } = await startServer()
  await git('ls-remote', `http://127.0.0.1:${port}/slow.git`)
  let received: number[] = []
  const total = await growth(child, async () => {
    received = await Promise.all(Array.from({ length: CLIENTS }, async () => await readSlowly(port, id, MB)))
  })
  const each = Math.round(total / CLIENTS * 100) / 100
  const rate = Math.round(median(received) / seconds / 1000)
  console.log(`${CLIENTS} readers at ${rate} kB/s for ${seconds} s grew the server by ${total} MiB, ${each} MiB each`)
  child.kill()
  await once(child, 'exit')
  writeResult('memory', {
    rounds: ROUNDS,
    growthMiB: {
      push600MB: median(large.map(({ push }) => push)),
      clone600MB: median(large.map(({ clone }) => clone)),
      each: large
    },
    slowReaders: { clients: CLIENTS, seconds, kilobytesPerSecond: rate, growthMiB: total, growthMiBEach: each }
  })
} finally {
  await rm(folder, { recursive: true, force: true })
}
