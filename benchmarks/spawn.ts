/**
 * What does starting git cost a large server? `tsx benchmarks/spawn.ts`
 *
 * A server process with a heap of 600 MB starts a trivial git 16 at a time, directly and through the spawner, in
 * turns. Measured in that process: the delay of its event loop (perf_hooks.monitorEventLoopDelay, which wakes up each
 * millisecond) and its CPU time per start. Prints and writes to results/spawn.json the medians of the rounds.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism, loadavg } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openStarter } from '../lib/git/spawner.ts'
import type { Starter } from '../lib/git/starter.ts'
import { describeMachine, median, writeResult } from './machine.ts'

const HEAP = 600 * 2 ** 20
const ROUNDS = 7
const STARTS = 320
const AT_ONCE = 16
const WAYS = { direct: 0, spawner: 2 } as const

interface Figures {
  /** Of the event loop, in milliseconds. */
  delayP50: number
  delayP99: number
  delayMax: number
  /** Of the server process, in milliseconds. */
  cpuPerStart: number
  startsPerSecond: number
}

type Way = keyof typeof WAYS

if (process.send === undefined) await main()
else await serve()

async function main (): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), { execArgv: [...process.execArgv, '--expose-gc', '--max-old-space-size=4096'] })
  const [{ heapMB, rounds }] = await once(child, 'message') as [{ heapMB: number, rounds: Record<Way, Figures[]> }]
  const medians = Object.fromEntries(Object.entries(rounds).map(([way, figures]) => [way, summarize(figures)])) as Record<Way, Figures>
  console.log(describeMachine())
  console.log(`server heap ${heapMB} MB, ${AT_ONCE} starts at once, ${STARTS} per round, medians of ${ROUNDS} rounds, load average ${loadavg()[0]?.toFixed(1)} on ${availableParallelism()} cores`)
  console.table(medians)
  writeResult('spawn', { heapMB, rounds: ROUNDS, startsPerRound: STARTS, atOnce: AT_ONCE, medians, each: rounds })
}

async function serve (): Promise<void> {
  const ballast = allocate(HEAP)
  const heapMB = Math.round(process.memoryUsage().heapUsed / 2 ** 20)
  const rounds: Record<Way, Figures[]> = { direct: [], spawner: [] }
  const starters = { direct: await openStarter('git', WAYS.direct, console), spawner: await openStarter('git', WAYS.spawner, console) }
  for (let round = 0; round <= ROUNDS; round++) {
    for (const way of Object.keys(WAYS) as Way[]) {
      const figures = await measure(starters[way])
      // The first round warms up.
      if (round > 0) rounds[way].push(figures)
    }
  }
  await starters.spawner.close()
  if (ballast.length === 0) throw new Error('the ballast must live until here')
  process.send?.({ heapMB, rounds }, () => process.exit())
}

/** Live objects of about `bytes` in all, as a server's caches hold them. */
function allocate (bytes: number): object[] {
  const ballast: object[] = []
  for (let i = 0; process.memoryUsage().heapUsed < bytes;) {
    for (const end = i + 10_000; i < end; i++) ballast.push({ id: i, name: `entry ${i}`, tags: [i, i + 1, i + 2] })
  }
  return ballast
}

async function measure (starter: Starter): Promise<Figures> {
  // What the round before left behind is no part of this one.
  globalThis.gc?.()
  await delay(100)
  const histogram = monitorEventLoopDelay({ resolution: 1 })
  histogram.enable()
  const [cpu, began] = [process.cpuUsage(), performance.now()]
  let left = STARTS
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (left-- > 0) await startOne(starter)
  }))
  const [{ user, system }, elapsed] = [process.cpuUsage(cpu), performance.now() - began]
  histogram.disable()
  // The histogram counts from its own interval.
  const milliseconds = (nanoseconds: number): number => Math.round((nanoseconds / 1e6 - 1) * 100) / 100
  return {
    delayP50: milliseconds(histogram.percentile(50)),
    delayP99: milliseconds(histogram.percentile(99)),
    delayMax: milliseconds(histogram.max),
    cpuPerStart: Math.round((user + system) / STARTS) / 1000,
    startsPerSecond: Math.round(STARTS / elapsed * 1000)
  }
}

async function startOne (starter: Starter): Promise<void> {
  const git = await starter.start(['--exec-path'], { PATH: process.env['PATH'] ?? '' })
  git.stdin.end()
  git.stdout.resume()
  const { code } = await git.exited
  if (code !== 0) throw new Error(`git exited with ${code}`)
}

function summarize (figures: Figures[]): Figures {
  const of = (name: keyof Figures): number => median(figures.map((figure) => figure[name]))
  return { delayP50: of('delayP50'), delayP99: of('delayP99'), delayMax: of('delayMax'), cpuPerStart: of('cpuPerStart'), startsPerSecond: of('startsPerSecond') }
}
