/**
 * Sends requests of the real client with some of their bytes changed to a live server, for a chosen time: `npm run fuzz -- --seconds 60`.
 * `--seed N` repeats a run, as far as the order in which answers come allows; `--only CASE` sends one case of it alone.
 *
 * A finding, and exit code 1: the server ends or stops to answer; a 5xx without a line in the log; a process, a descriptor, a temporary
 * file or an operation that is left; memory that grows without bound; a repository that fsck complains about.
 */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { git, tryGit } from '../fixtures/git.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServerProcess } from '../fixtures/server-process.ts'
import { settled } from '../fixtures/settled.ts'
import { mutate } from './mutate.ts'
import { Random } from './random.ts'
import { recordClient } from './record.ts'

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' }, only: { type: 'string' } } })
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
const MIB = 2 ** 20
/** Connections at once. */
const CLIENTS = 8
/** Milliseconds after which an answer is not waited for any more. */
const PATIENCE = 3_000
/** MiB that the server's memory may grow. */
const GROWTH = 64

const folder = await mkdtemp(join(tmpdir(), 'fastify-git-http-fuzz-'))
const root = join(folder, 'root')
// So that what the server and its gits leave there is seen.
process.env['TMPDIR'] = join(folder, 'temporary')
await mkdir(process.env['TMPDIR'])
const findings: string[] = []
const statuses = new Map<string, number>()
/** Why an answer was 500, and a case of it for `--only`. */
const reasons = new Map<string, number>()

try {
  const served = await makeRepository(root, 'app.git', { commits: 5 })
  const server = await startServerProcess({
    root, publicWrite: true, createOnPush: true, limits: { idleTimeout: 1_500 }, services: { uploadArchive: true }, cache: { packs: { directory: join(folder, 'packs') } }
  })
  server.child.once('exit', (code, signal) => { if (!isOver) finding(`the server ended: ${code ?? signal}`) })
  let isOver = false
  try {
    const corpus = await recordClient(server.port, 'app.git', await makeWorkingCopy(folder, 'work'))
    console.log(`seed ${seed}: ${corpus.length} connections recorded`)
    const send = async (number: number): Promise<void> => {
      const random = new Random(seed + number)
      const bytes = mutate(random.pick(corpus), corpus, random)
      if (values.only !== undefined) console.log(`case ${number}: ${JSON.stringify(bytes.toString('latin1').slice(0, 4_000))}`)
      const answer = await exchange(server.port, bytes, random.below(8) === 0 ? random.below(200) : PATIENCE)
      if (values.only !== undefined) console.log(`answer: ${JSON.stringify(answer.slice(0, 4_000))}`)
      for (const [, status, request] of answer.matchAll(/^HTTP\/1\.1 (\d{3})(?:[^]*?\(request ([^)]+)\)\n)?/gm)) {
        statuses.set(status as string, (statuses.get(status as string) ?? 0) + 1)
        if (status !== '500') continue
        const lines = (): typeof server.log => server.log.filter(({ reqId }) => reqId === request)
        await eventually(async () => request !== undefined && lines().length > 0, 2_000, '').catch(() => finding(`case ${number}: a 500 without a reason in the log`))
        const reason = request === undefined ? '' : lines().map(reasonOf).join(' | ')
        if (!reasons.has(reason)) reasons.set(reason, number)
      }
    }
    if (values.only !== undefined) await send(Number(values.only))
    // What every server has once it has served is no leak. One of these makes a repository.
    await git(['push', '--quiet', `${server.url}/new.git`, 'HEAD:refs/heads/main'], { cwd: join(folder, 'work') })
    for (let number = -200; number < 0 && values.only === undefined; number++) await send(number)
    await quiet()
    // The loader of this script's language remembers there what it has read.
    const temporary = async (): Promise<string[]> => (await readdir(join(folder, 'temporary'), { recursive: true })).filter((name) => !name.startsWith('tsx-'))
    const before = { ...await server.look(), descriptors: await settled(server.descriptors), temporary: await temporary() }
    let number = 0
    const fuzz = async (seconds: number): Promise<void> => {
      const end = Date.now() + seconds * 1000
      await Promise.all(Array.from({ length: values.only === undefined ? CLIENTS : 0 }, async () => {
        while (Date.now() < end && server.child.exitCode === null) await send(number++)
      }))
      await quiet()
    }
    await fuzz(Number(values.seconds) / 2)
    const half = await server.look()
    await fuzz(Number(values.seconds) / 2)
    const more = (await temporary()).filter((name) => !before.temporary.includes(name))
    if (more.length > 0) finding(`left: ${more.slice(0, 5).join(', ')}`)
    // Idle connections of the keep-alive kind are the client's, and it has closed all of them.
    await eventually(async () => await server.descriptors() === before.descriptors, 10_000, 'descriptors').catch(async () => finding(`${await server.descriptors()} descriptors, ${before.descriptors} before`))
    const after = await server.look()
    if (after.rss - before.rss > GROWTH * MIB) finding(`memory grew by ${Math.round((after.rss - before.rss) / MIB)} MiB`)
    if (after.listeners > before.listeners) finding(`${after.listeners} listeners, ${before.listeners} before`)
    const left = (await readdir(root, { recursive: true })).filter((name) => /tmp_objdir|incoming-|\.lock$|tmp_pack|\.new-/.test(name))
    if (left.length > 0) finding(`left: ${left.slice(0, 5).join(', ')}`)
    const { code, stderr } = await tryGit(['fsck', '--full'], { cwd: served })
    if (code !== 0) finding(`fsck: ${stderr}`)
    await git(['ls-remote', `${server.url}/app.git`]).catch((error) => finding(`the server does not serve any more: ${error}`))
    for (const line of server.log.filter(({ level }) => Number(level) >= 60)) finding(`fatal: ${JSON.stringify(line)}`)
    console.log(`${number} cases; memory ${Math.round((half.rss - before.rss) / MIB)} MiB more at half time, ${Math.round((after.rss - before.rss) / MIB)} at the end; answers ${JSON.stringify(Object.fromEntries([...statuses].sort()))}`)
    for (const [text, count] of logged(server.log)) console.log(`  log: ${count} x ${text}`)
    for (const [reason, number] of reasons) console.log(`  500: case ${number}: ${reason}`)

    async function quiet (): Promise<void> {
      await eventually(async () => (await server.look()).active === 0, 20_000, 'operations').catch(async () => finding(`${(await server.look()).active} operations are left`))
      await eventually(async () => (await processesAbout(`${root}/`)).filter((line) => Number.parseInt(line) !== server.pid).length === 0, 5_000, 'processes')
        .catch(async () => finding(`processes are left: ${(await processesAbout(`${root}/`)).join('; ')}`))
    }
  } finally {
    isOver = true
    await Promise.race([server.close().catch(() => {}), delay(10_000)])
    await server.killAll(root)
  }
} finally {
  await rm(folder, { recursive: true, force: true, maxRetries: 3 })
}
console.log(findings.length === 0 ? 'no finding' : `${findings.length} findings, seed ${seed}`)
process.exit(findings.length === 0 ? 0 : 1)

function finding (what: string): void {
  findings.push(what)
  console.log(`FINDING (seed ${seed}): ${what}`)
}

/** What comes back within `patience` milliseconds; then the client leaves. */
function exchange (port: number, bytes: Buffer, patience: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let answer = ''
    const timer = setTimeout(() => socket.destroy(), patience)
    socket.on('error', () => {})
    // Enough for every status line and message; packs are of no interest.
    socket.on('data', (chunk: Buffer) => { if (answer.length < 100_000) answer += chunk.toString('latin1') })
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(answer)
    })
    // The server answers what it has got; who has nothing more to say says so.
    socket.end(bytes)
  })
}

/** What a line of the log says went wrong, without what differs from case to case. */
function reasonOf ({ msg, code, service, exitCode, signal, stderr, err }: Record<string, unknown>): string {
  const words = String(stderr ?? (err as Error | undefined)?.message ?? '').replace(/[0-9a-f]{40,}/g, 'ID').replace(/(character: )[^]*/, '$1...')
  return [msg, code, service, exitCode, signal, JSON.stringify(words)].filter((part) => part != null).join(' ')
}

function logged (log: Array<Record<string, unknown>>): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { level, msg, code, err } of log) {
    const text = [level, msg, code ?? '', (err as Error | undefined)?.message ?? ''].join(' ').trim()
    counts.set(text, (counts.get(text) ?? 0) + 1)
  }
  return counts
}
