import { median } from './machine.ts'
import type { Workload } from './discovery-workloads.ts'
import type { Peer } from './peers/peer.ts'

/** One measurement: one workload, one peer, one round. */
export interface Measurement {
  /** Requests per second, or milliseconds. */
  value: number
  /** Milliseconds of processor time that the server and its children used per request; null where it cannot be seen. */
  cpu: number | null
  errors: number
  /** More about it, for the file. */
  details: Record<string, number>
}

export interface PeerSummary {
  median: number
  cpuMilliseconds: number | null
  valid: boolean
  rounds: Array<Omit<Measurement, 'details'> & Record<string, number | boolean | null>>
}

export interface WorkloadSummary {
  name: string
  title: string
  unit: string
  better: 'higher' | 'lower'
  settings: Record<string, number | string | boolean>
  peers: Record<string, PeerSummary>
  fastestCgi: string | null
  /** Ours divided by the fastest CGI peer. */
  ratio: number | null
  target: string | null
  met: boolean | null
  valid: boolean
}

const round = (value: number, digits = 4): number => Number(value.toPrecision(digits))

export function summarize (workload: Workload, peers: Peer[], measured: Map<Peer, Measurement[]>): WorkloadSummary {
  const { name, title, unit, better, target } = workload
  const summaries = peers.filter((peer) => measured.has(peer)).map((peer) => [peer, summarizePeer(measured.get(peer) as Measurement[])] as const)
  const cgi = summaries.filter(([{ role }]) => role === 'cgi').sort(([, a], [, b]) => better === 'higher' ? b.median - a.median : a.median - b.median)
  const ours = summaries.find(([{ role }]) => role === 'ours')?.[1]
  const fastest = cgi[0]
  const ratio = ours === undefined || fastest === undefined ? null : round(ours.median / fastest[1].median)
  const valid = summaries.every(([, summary]) => summary.valid)
  const reached = ratio !== null && target !== null && (better === 'higher' ? ratio >= target : ratio <= target)
  return {
    name,
    title,
    unit,
    better,
    settings: settingsOf(workload),
    peers: Object.fromEntries(summaries.map(([peer, summary]) => [peer.name, summary])),
    fastestCgi: fastest?.[0].name ?? null,
    ratio,
    target: target === null ? null : `${better === 'higher' ? '>=' : '<='} ${round(target, 2)}`,
    met: target === null || ratio === null ? null : valid && reached,
    valid
  }
}

function summarizePeer (rounds: Measurement[]): PeerSummary {
  const cpu = rounds.map((each) => each.cpu).filter((value) => value !== null)
  return {
    median: round(median(rounds.map(({ value }) => value))),
    cpuMilliseconds: cpu.length === 0 ? null : round(median(cpu), 3),
    valid: rounds.every(({ errors, value }) => errors === 0 && Number.isFinite(value)),
    rounds: rounds.map(({ value, cpu, errors, details }) => ({
      value: round(value),
      cpu: cpu === null ? null : round(cpu, 3),
      errors,
      ...Object.fromEntries(Object.entries(details).map(([key, number]) => [key, round(number)]))
    }))
  }
}

function settingsOf (workload: Workload): WorkloadSummary['settings'] {
  switch (workload.kind) {
    case 'throughput': return { connections: workload.connections, stateChangesBeforeEachRequest: workload.changing }
    case 'client': return { command: workload.command, runsPerRound: workload.runs }
    case 'latency': return { requestsPerSecond: workload.perSecond, clones: workload.clones }
  }
}

const show = (value: number): string => value >= 100 ? Math.round(value).toLocaleString('en') : String(round(value, 3))

/** One line while it is being measured. */
export function progress (round: number, rounds: number, workload: Workload, peer: Peer, { value, cpu, errors, details }: Measurement): string {
  const extra = Object.entries(details).map(([key, number]) => `${key} ${show(number)}`).join(', ')
  return `${round}/${rounds}  ${workload.name.padEnd(21)}${peer.name.padEnd(7)}${show(value).padStart(9)} ${workload.unit.padEnd(11)}` +
    `${cpu === null ? '' : `${show(cpu)} ms CPU`}`.padEnd(15) + `${errors > 0 ? `INVALID: ${errors} errors; ` : ''}${extra}`
}

/** Medians, the ratio to the fastest CGI peer, and what was promised. */
export function table (summaries: WorkloadSummary[], peers: Peer[]): string {
  const head = ['', 'unit', ...peers.map(({ name }) => name), 'ratio', 'target', '']
  const rows = summaries.map(({ title, unit, peers: figures, fastestCgi, ratio, target, met, valid }) => [
    title,
    unit,
    ...peers.map(({ name }) => {
      const figure = figures[name]
      return figure === undefined ? '' : `${show(figure.median)}${name === fastestCgi ? '*' : ''}${figure.cpuMilliseconds === null ? '' : ` (${show(figure.cpuMilliseconds)})`}`
    }),
    ratio === null ? '' : show(ratio),
    target ?? '',
    !valid ? 'INVALID' : met === null ? '' : met ? 'met' : 'NOT MET'
  ])
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => (row[column] as string).length)))
  const lines = [head, ...rows].map((row) => row.map((cell, column) => column < 2 ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number)).join('  '))
  return `${lines.join('\n')}\n\n* the fastest CGI peer; in parentheses milliseconds of processor time per request, server and children`
}
