import { Agent, get } from 'node:http'
import { setPriority } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LoadGenerator } from './discovery-load.ts'
import type { Repositories } from './discovery-repositories.ts'
import { cloneRequest, type HttpRequest, type LatencyWorkload } from './discovery-workloads.ts'
import type { Peer } from './peers/peer.ts'

export interface Latency {
  p50: number
  p99: number
  samples: number
  errors: number
  clones: number
  cloneErrors: number
}

/** Time to the last byte of a cheap answer while clones keep the machine busy. A slow answer does not delay the next request. */
export async function measureLatency (peer: Peer, workload: LatencyWorkload, load: LoadGenerator, repositories: Repositories, seconds: number, start: number): Promise<Latency> {
  const tip = repositories.middle.at(-1) as string
  const request = cloneRequest('middle.git', [tip, '1'.repeat(40), '2'.repeat(40)])
  const clones = load.clones(peer.port, request, workload.clones, seconds + 2, start)
  // Until every connection has its clone.
  await sleep(1000)
  const agent = new Agent({ keepAlive: true })
  prefer(true)
  const pending: Array<Promise<number | null>> = []
  const begin = performance.now()
  while (pending.length < seconds * workload.perSecond) {
    pending.push(time(peer.port, workload.request, agent))
    await sleep(Math.max(0, begin + pending.length * 1000 / workload.perSecond - performance.now()))
  }
  const results = await Promise.all(pending)
  prefer(false)
  agent.destroy()
  const { requests, errors: cloneErrors } = await clones
  const times = results.filter((result) => result !== null).sort((a, b) => a - b)
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN
  return { p50: at(0.5), p99: at(0.99), samples: results.length, errors: results.length - times.length, clones: requests, cloneErrors }
}

/** The servers are measured, not how long this process waits for a core: it goes first, where that is permitted. */
function prefer (yes: boolean): void {
  try {
    setPriority(yes ? -10 : 0)
  } catch {}
}

function time (port: number, { path, headers }: HttpRequest, agent: Agent): Promise<number | null> {
  const started = performance.now()
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path, headers, agent, timeout: 60_000 }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode === 200 ? performance.now() - started : null))
      response.on('error', () => resolve(null))
    })
    request.on('error', () => resolve(null))
    request.on('timeout', () => request.destroy())
  })
}
