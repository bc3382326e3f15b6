/**
 * What do clients cost that want nothing, or leave? `npm run bench:faults`
 *
 * 1. `--idle` (10,000) connections that say nothing and `--slow` (200) that send one byte of a header a second: the time of an ordinary
 *    discovery (v2, from memory) with them and without, in turns, in `--rounds` (5) rounds. 32 connections ask 1,000 times a second in
 *    all, at random moments. Not as fast as they can: at saturation p99 says how long the queue is that the load generator made;
 *    at a tenth of what the server can do, it says what a user notices of the others.
 * 2. `--aborts` (10,000) requests of 20 kinds that leave before they are over, after a tenth as many to warm up: descriptors, processes,
 *    listeners and files are as before, and memory has grown by less than 32 MiB.
 *
 * Every server is a process of its own, and so are those who hold the connections. Linux only. Prints and writes to results/faults.json.
 */
import { execFileSync, fork, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { abort, KINDS, type Target } from './faults-aborts.ts'
import { generator, measureLatency, type Latency } from './faults-latency.ts'
import type { Holdings } from './faults-server.ts'
import { median, writeResult } from './machine.ts'
import { processTree } from './peers/processes.ts'

const { values } = parseArgs({
  options: {
    idle: { type: 'string', default: '10000' },
    slow: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '8' },
    aborts: { type: 'string', default: '10000' },
    'no-result': { type: 'boolean', default: false }
  }
})
const [idle, slow, rounds, seconds, aborts] = [values.idle, values.slow, values.rounds, values.seconds, values.aborts].map(Number) as [number, number, number, number, number]
const LOAD = { connections: 32, perSecond: 1_000, seconds }
const AT_ONCE = 16
const MIB = 2 ** 20
const GROWTH_LIMIT = 32
/** Descriptors besides those of the crowd. */
const SPARE = 1_000
/** Longest time that cached packs are kept, in milliseconds, so that the end is like the start. */
const MAX_AGE = 2_000

const folder = mkdtempSync(join(tmpdir(), 'fastify-git-http-bench-'))
const [root, work, temporary] = ['root', 'work', 'tmp'].map((name) => join(folder, name)) as [string, string, string]
const env = { ...process.env, TMPDIR: temporary, GIT_AUTHOR_NAME: 'b', GIT_AUTHOR_EMAIL: 'b@example.org', GIT_COMMITTER_NAME: 'b', GIT_COMMITTER_EMAIL: 'b@example.org' }

function git (args: string[], input = ''): Buffer {
  return execFileSync('git', args, { env, input, stdio: ['pipe', 'pipe', 'ignore'], maxBuffer: 64 * MIB })
}

/** A script in a process that may open as many files as the system permits. */
async function start (script: string, args: string[]): Promise<{ child: ChildProcess, first: Record<string, number> }> {
  const child = fork(new URL(script, import.meta.url).pathname, args, { execArgv: ['--expose-gc', '--import', 'tsx'], env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [first] = await Promise.race([once(child, 'message'), once(child, 'exit').then(([code]) => { throw new Error(`${script} ended with ${code}`) })])
  return { child, first }
}

async function ask<T> (child: ChildProcess): Promise<T> {
  child.send('look')
  return (await once(child, 'message'))[0] as T
}

async function stop (child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.disconnect()
  await ended
}

/** Raises the limit of this process and of those that it starts, as far as may be; answers what there is. */
function raiseDescriptors (wanted: number): number {
  const limit = (): [number, number] => {
    const [, soft = '0', hard = '0'] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return [soft, hard].map((value) => value === 'unlimited' ? Infinity : Number(value)) as [number, number]
  }
  const [soft, hard] = limit()
  for (const value of [`${wanted}:${Math.max(wanted, hard)}`, `${Math.min(wanted, hard)}:`]) {
    if (limit()[0] >= wanted) break
    try { execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${value}`], { stdio: 'ignore' }) } catch {}
  }
  console.log(`descriptors: ${soft} (at most ${hard}) at the start, ${limit()[0]} now, ${wanted} wanted`)
  return limit()[0]
}

/** Lets the server collect what it dropped before, so that no measurement pays for the one before it. */
async function settle (server: ChildProcess): Promise<void> {
  await sleep(1_500)
  await ask(server)
  await sleep(500)
}

async function measureCrowd (descriptors: number): Promise<object> {
  const held = Math.min(idle, descriptors - SPARE - slow)
  if (held < idle) console.log(`only ${held} idle connections are possible here`)
  const { child: server, first: { port = 0 } } = await start('faults-server.ts', [JSON.stringify({ root })])
  const each: Array<{ without: Latency, with: Latency, reopened: number }> = []
  await measureLatency(port, { ...LOAD, seed: 0 })
  const without = async (seed: number): Promise<Latency> => {
    await settle(server)
    return await measureLatency(port, { ...LOAD, seed })
  }
  const crowded = async (seed: number): Promise<{ latency: Latency, reopened: number }> => {
    const { child: crowd, first: { open = 0 } } = await start('faults-crowd.ts', [String(port), String(held), String(slow)])
    if (open !== held + slow) throw new Error(`${open} connections instead of ${held + slow}`)
    await settle(server)
    const latency = await measureLatency(port, { ...LOAD, seed })
    const { reopened } = await ask<{ reopened: number }>(crowd)
    await stop(crowd)
    return { latency, reopened }
  }
  for (let round = 1; round <= rounds; round++) {
    // Each goes first in turn.
    const early = round % 2 === 1 ? await without(round) : null
    const { latency, reopened } = await crowded(round)
    const alone = early ?? await without(round)
    console.log(`round ${round}: p50 ${alone.p50} and p99 ${alone.p99} ms without, ${latency.p50} and ${latency.p99} ms with ${held + slow} connections (${reopened} opened again)`)
    each.push({ without: alone, with: latency, reopened })
  }
  await stop(server)
  const [before, after] = [median(each.map(({ without }) => without.p99)), median(each.map((round) => round.with.p99))]
  const ratio = Math.round(after / before * 100) / 100
  console.log(`p99 of a discovery: ${before} ms without, ${after} ms with ${held} idle and ${slow} slow connections, ${ratio} times (limit 1.5)`)
  return { descriptors, idle: held, slow, ...LOAD, p99Without: before, p99With: after, ratio, each }
}

/** Everything that must be as it was, by name, and the memory. */
interface State { counts: Record<string, number>, files: string[], rss: number, resources: Record<string, number> }

async function stateOf (server: ChildProcess): Promise<State> {
  let holdings = await ask<Holdings>(server)
  for (let i = 0; holdings.active > 0 && i < 300; i++) {
    await sleep(100)
    holdings = await ask<Holdings>(server)
  }
  await sleep(2 * MAX_AGE)
  holdings = await ask<Holdings>(server)
  const tree = await processTree([server.pid as number])
  const descriptors = tree.flatMap(({ pid }) => descriptorsOf(pid))
  const kinds: Record<string, number> = {}
  for (const kind of descriptors) kinds[`descriptors, ${kind}`] = (kinds[`descriptors, ${kind}`] ?? 0) + 1
  return {
    counts: { active: holdings.active, processes: tree.length, descriptors: descriptors.length, ...kinds, ...prefixed('listeners, ', holdings.listeners) },
    files: readdirSync(root, { recursive: true }).concat(readdirSync(temporary, { recursive: true })).map(String).sort(),
    rss: holdings.rss,
    resources: holdings.resources
  }
}

function descriptorsOf (pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
    try {
      const target = readlinkSync(`/proc/${pid}/fd/${name}`)
      return [target.startsWith('/') ? 'file' : target.slice(0, target.indexOf(':'))]
    } catch {
      // The one that this listing itself is read with, in a process that has ended.
      return []
    }
  })
}

function prefixed (prefix: string, record: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [prefix + name, value]))
}

async function abortMany (target: Target, count: number, seed: number): Promise<void> {
  let next = 0
  await Promise.all(Array.from({ length: AT_ONCE }, async (_, worker) => {
    const random = generator(seed + worker)
    while (next < count) await abort(target, KINDS[next++ % KINDS.length] as typeof KINDS[number], random)
  }))
}

async function measureAborts (): Promise<object> {
  const tip = git(['-C', join(root, 'app.git'), 'rev-parse', 'main']).toString().trim()
  const packName = readdirSync(join(root, 'app.git/objects/pack')).find((name) => name.endsWith('.pack')) ?? ''
  const pushed = git(['-C', work, 'rev-parse', 'topic']).toString().trim()
  const pack = git(['-C', work, 'pack-objects', '--revs', '--stdout', '-q'], 'topic\n^main\n')
  const { child: server, first: { port = 0 } } = await start('faults-server.ts', [JSON.stringify({
    root, publicWrite: true, services: { uploadArchive: true }, cache: { packs: { directory: join(temporary, 'packs'), maxAge: MAX_AGE } }
  })])
  const target: Target = { port, tip, packName, pack, pushed }
  await abortMany(target, aborts / 10, 1)
  const before = await stateOf(server)
  const began = performance.now()
  await abortMany(target, aborts, 1_000)
  const took = Math.round((performance.now() - began) / 1000)
  const after = await stateOf(server)
  await stop(server)
  const growth = Math.round((after.rss - before.rss) / MIB * 10) / 10
  const names = [...new Set([...Object.keys(before.counts), ...Object.keys(after.counts)])]
  const changed = names.filter((name) => (before.counts[name] ?? 0) !== (after.counts[name] ?? 0)).map((name) => `${name}: ${before.counts[name] ?? 0}, then ${after.counts[name] ?? 0}`)
  const left = after.files.filter((name) => !before.files.includes(name)).concat(before.files.filter((name) => !after.files.includes(name)))
  git(['-C', join(root, 'app.git'), 'fsck', '--full'])
  console.log(`${aborts} aborts of ${KINDS.length} kinds in ${took} s: memory grew by ${growth} MiB (limit ${GROWTH_LIMIT})`)
  console.log(changed.length === 0 ? `${before.counts['processes']} processes, ${before.counts['descriptors']} descriptors and all listeners as before` : changed.join('\n'))
  console.log(left.length === 0 ? `${after.files.length} files as before` : `files: ${left.slice(0, 10).join(', ')}`)
  console.log(`busy with: ${JSON.stringify(before.resources)}, then ${JSON.stringify(after.resources)}`)
  return { aborts, kinds: KINDS.map(([name]) => name), seconds: took, growthMiB: growth, counts: after.counts, changed, left, files: after.files.length }
}

try {
  for (const name of [root, temporary]) mkdirSync(name)
  git(['init', '--quiet', '--initial-branch=main', work])
  for (const [branch, size] of [['main', 4 * MIB], ['topic', MIB / 4]] as const) {
    git(['-C', work, 'checkout', '--quiet', '-B', branch])
    writeFileSync(join(work, branch), randomBytes(size))
    git(['-C', work, 'add', '.'])
    git(['-C', work, 'commit', '--quiet', '-m', branch])
  }
  git(['clone', '--quiet', '--bare', '--single-branch', '--branch', 'main', '--no-local', work, join(root, 'app.git')])
  git(['-C', join(root, 'app.git'), 'config', 'gc.auto', '0'])
  const commit = execFileSync('git', ['describe', '--always', '--dirty', '--abbrev=12'], { cwd: new URL('..', import.meta.url), encoding: 'utf8' }).trim()
  const crowd = rounds > 0 ? await measureCrowd(raiseDescriptors(idle + slow + SPARE)) : null
  const left = aborts > 0 ? await measureAborts() : null
  if (!values['no-result']) writeResult('faults', { commit, rounds, crowd, aborts: left })
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
}
