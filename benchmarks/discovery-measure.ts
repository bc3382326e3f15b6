import { median } from './machine.ts'
import { verify } from './discovery-answer.ts'
import type { Client } from './discovery-client.ts'
import { measureLatency } from './discovery-latency.ts'
import type { LoadGenerator } from './discovery-load.ts'
import type { Measurement } from './discovery-report.ts'
import type { Repositories } from './discovery-repositories.ts'
import type { ClientWorkload, LatencyWorkload, ThroughputWorkload } from './discovery-workloads.ts'
import type { Peer } from './peers/peer.ts'
import { cpuMilliseconds } from './peers/cpu.ts'
import { settle } from './peers/processes.ts'

export interface Means {
  load: LoadGenerator
  client: Client
  repositories: Repositories
  root: string
  seconds: number
}

/** Round by round, one peer after the other, each when the one before is quiet again. */
export async function throughput (peer: Peer, workload: ThroughputWorkload, first: boolean, { load, root, repositories, seconds }: Means): Promise<Measurement> {
  // Code that was just compiled, caches that were just filled: none of it is what a server does all day.
  if (first) await load.throughput(peer.port, workload, 1)
  await settle(peer)
  const before = await cpuMilliseconds(peer)
  const { requests, requestsPerSecond, p50, p99, bytes, errors } = await load.throughput(peer.port, workload, seconds)
  await settle(peer)
  const after = await cpuMilliseconds(peer)
  // wrk leaves with a request in flight on every connection, which the server works on all the same.
  const cpu = before === null || after === null ? null : (after - before) / (requests + workload.connections)
  // The answers that were measured are those that git gives. A short one would be wrong even with status 200.
  const { length } = await verify(peer, workload, root, repositories)
  const short = requests === 0 || bytes / requests < 0.9 * length
  return { value: requestsPerSecond, cpu, errors: short ? Math.max(1, errors) : errors, details: { requests, p50, p99 } }
}

export async function client (peers: Peer[], workload: ClientWorkload, { client }: Means): Promise<Map<Peer, Measurement>> {
  await Promise.all(peers.map(settle))
  const before = await Promise.all(peers.map(cpuMilliseconds))
  const times = await client.run(peers, workload)
  await Promise.all(peers.map(settle))
  const after = await Promise.all(peers.map(cpuMilliseconds))
  return new Map(peers.map((peer, index) => {
    const [from, to] = [before[index] ?? null, after[index] ?? null]
    const runs = times.get(peer) ?? []
    return [peer, { value: median(runs), cpu: from === null || to === null ? null : (to - from) / runs.length, errors: 0, details: { fastest: Math.min(...runs), slowest: Math.max(...runs) } }]
  }))
}

export async function latency (peer: Peer, workload: LatencyWorkload, round: number, { load, repositories, seconds }: Means): Promise<Measurement> {
  await settle(peer)
  // The slowest hundredth needs many samples.
  const { p50, p99, samples, errors, clones, cloneErrors } = await measureLatency(peer, workload, load, repositories, 4 * seconds, round * 100_000)
  await settle(peer)
  return { value: p99, cpu: null, errors: errors + cloneErrors, details: { p50, p99, samples, clones } }
}
