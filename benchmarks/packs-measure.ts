import { readFile, writeFile } from 'node:fs/promises'
import type { LoadGenerator } from './discovery-load.ts'
import type { HttpRequest } from './discovery-workloads.ts'
import { bareGit } from './packs-pipe.ts'
import { read, type Outcome } from './packs-readers.ts'
import type { CrowdScenario, DifferentScenario, RateScenario, Scenario, SlowScenario, StreamScenario } from './packs-scenarios.ts'
import { cpuMilliseconds } from './peers/cpu.ts'
import type { Peer } from './peers/peer.ts'
import { settle } from './peers/processes.ts'

/** Turns that nobody measures: from this number on, and so many before each round, of a server that was just started and of another. */
const [WARM_UP, WARM_UPS] = [300, { fresh: 4, other: 1 }]
const MEBIBYTE = 2 ** 20

/** One scenario, one contestant, one round. */
export interface Sample {
  figures: Record<string, number>
  errors: string[]
}

export interface Means {
  load: LoadGenerator
  seconds: number
  /** How many git pack-objects our server's git has started so far. */
  packObjects: () => Promise<number>
  /** Bytes of the pack that git itself sends. */
  packBytes: (scenario: Scenario) => number
}

export async function measure (peer: Peer, scenario: Exclude<Scenario, DifferentScenario>, means: Means): Promise<Sample> {
  await settle(peer)
  switch (scenario.kind) {
    case 'rate': return await measureRate(peer, scenario, means)
    case 'stream': return await measureStream(peer, scenario, means)
    case 'crowd': return await measureCrowd(peer, scenario, means)
    case 'slow': return await measureSlow(peer, scenario)
  }
}

async function measureRate (peer: Peer, { name, request, connections, ...rest }: RateScenario, { load, seconds, packBytes }: Means): Promise<Sample> {
  const workload = { kind: 'throughput' as const, name, title: name, target: null, better: 'higher' as const, unit: '', request, connections, changing: false }
  // Code that was just compiled is not what a server runs all day.
  if (peer.role === 'ours') await load.throughput(peer.port, workload, 1)
  await settle(peer)
  const { requests, requestsPerSecond, p50, p99, bytes, errors } = await load.throughput(peer.port, workload, seconds)
  const short = requests === 0 || bytes / requests < 0.95 * packBytes({ name, request, connections, ...rest })
  return { figures: { requestsPerSecond, p50, p99 }, errors: errors > 0 || short ? [`${errors} errors, ${bytes} bytes in ${requests} answers`] : [] }
}

async function measureStream (peer: Peer, { request, connections }: StreamScenario, { seconds }: Means): Promise<Sample> {
  const outcome = await read({ port: peer.port, requests: [request], connections, seconds, check: false })
  return { figures: { megabytesPerSecond: outcome.bytes / outcome.seconds / 1e6, answers: outcome.answers }, errors: outcome.errors }
}

async function measureCrowd (peer: Peer, scenario: CrowdScenario, { packObjects, packBytes }: Means): Promise<Sample> {
  const [before, started] = [await cpuMilliseconds(peer), await packObjects()]
  const outcome = await read({ port: peer.port, requests: [scenario.request], connections: scenario.clones, answers: scenario.clones, check: true })
  await settle(peer)
  const after = await cpuMilliseconds(peer)
  return {
    figures: {
      ...(before === null || after === null ? {} : { cpuSeconds: (after - before) / 1000 }),
      ...(peer.role === 'ours' ? { packObjects: await packObjects() - started, peakMiB: await resident(peer, 'VmHWM') / MEBIBYTE } : {}),
      seconds: outcome.seconds
    },
    errors: [...incomplete(outcome, scenario.clones), ...outcome.packs.filter((bytes) => bytes !== packBytes(scenario)).map((bytes) => `a pack of ${bytes} bytes`)]
  }
}

/** As above: everybody has answered others before. */
export async function warmUpDifferent ({ port, role }: Peer, { requests, count, connections }: DifferentScenario, round: number): Promise<void> {
  const { fresh, other } = WARM_UPS
  for (let i = 0; i < (role === 'ours' ? fresh : other); i++) await read({ port, requests: requests(WARM_UP + fresh * round + i), connections, answers: count, check: false })
}

export async function measureDifferent (peer: Peer, { requests, count, connections }: DifferentScenario, turn: number): Promise<Sample> {
  await settle(peer)
  const before = await cpuMilliseconds(peer)
  const outcome = await read({ port: peer.port, requests: requests(turn), connections, answers: count, check: true })
  await settle(peer)
  const after = await cpuMilliseconds(peer)
  return differentSample(outcome, count, before === null || after === null ? null : after - before)
}

/** The same requests, without any server. */
export async function measureBareGit (root: string, { requests, count, connections }: DifferentScenario, turn: number): Promise<Sample> {
  const outcome = await bareGit(root, requests(turn), connections)
  return differentSample(outcome, count, outcome.cpu)
}

function differentSample (outcome: Outcome, count: number, cpu: number | null): Sample {
  return {
    figures: { ...(cpu === null ? {} : { cpuMilliseconds: cpu / count }), requestsPerSecond: outcome.answers / outcome.seconds, bytesPerRequest: outcome.bytes / count },
    errors: incomplete(outcome, count)
  }
}

async function measureSlow (peer: Peer, { request, readers, bytesPerSecond, seconds }: SlowScenario): Promise<Sample> {
  await writeFile(`/proc/${peer.pids[0]}/clear_refs`, '5')
  const before = await resident(peer, 'VmRSS')
  const outcome = await read({ port: peer.port, requests: [request], connections: readers, seconds, check: false, bytesPerSecond })
  const growth = await resident(peer, 'VmHWM') - before
  return { figures: { mebibytesEach: growth / readers / MEBIBYTE, kilobytesPerSecondEach: outcome.bytes / outcome.seconds / readers / 1000 }, errors: outcome.errors }
}

/** Until the answer is remembered: the second request within the window is the first to be kept (`minOccurrences`). */
export async function warm (peer: Peer, request: HttpRequest): Promise<void> {
  const { errors } = await read({ port: peer.port, requests: [request], connections: 1, answers: 3, check: false })
  if (errors.length > 0) throw new Error(`${peer.name}: ${errors[0]}`)
}

function incomplete ({ answers, errors }: Outcome, expected: number): string[] {
  return answers === expected ? errors : [...errors, `${answers} of ${expected} answers`]
}

/** proc(5): bytes of the server process alone; its peak is reset by writing 5 to clear_refs. */
async function resident ({ pids }: Peer, field: 'VmHWM' | 'VmRSS'): Promise<number> {
  const status = await readFile(`/proc/${pids[0]}/status`, 'utf8')
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024
}
