import { RATE, labelOf, linear, ratioText, subtitle, targetText, type Chart, type Panel, type Row } from './chart-drawing.ts'
import type { WorkloadSummary } from './discovery-report.ts'
import type { Peer } from './peers/peer.ts'

/** What the drawing uses of results/discovery.json. */
export interface DiscoveryResult {
  machine: Record<string, string | number>
  programs: Record<string, string>
  settings: { rounds: number, secondsPerMeasurement: number }
  peers: Record<string, { title: string, role: Peer['role'] }>
  workloads: WorkloadSummary[]
}

export function discoveryChart ({ machine, programs, settings, peers, workloads }: DiscoveryResult): Chart {
  const throughput = workloads.filter(({ unit }) => unit === 'requests/s')
  const clients = workloads.filter(({ name }) => name.startsWith('git-'))
  const latency = workloads.filter(({ name }) => name === 'latency')
  const changing = (yes: boolean): Row[] => rows(throughput.filter(({ settings }) => settings['stateChangesBeforeEachRequest'] === yes), peers)
  const ratioNote = 'to the fastest with git-http-backend'
  const time = (title: string, note: string, workloads: WorkloadSummary[]): Panel => ({ title, note, ratioNote, rows: rows(workloads, peers), ...linear(medians(workloads)), format: milliseconds })
  const panels: Panel[] = [
    { ...RATE, title: 'Nothing has changed: requests per second', note: 'more is better; logarithmic', ratioNote, rows: changing(false) },
    { ...RATE, title: 'A ref changes before every request: requests per second', note: 'more is better; logarithmic', ratioNote, rows: changing(true) },
    time('The git command: wall time', 'less is better', clients),
    time('While 16 clones run: latency of the slowest hundredth', 'less is better', latency)
  ]
  return {
    title: 'Learning the refs: fastify-git-http and three servers with git-http-backend',
    note: subtitle(machine, programs, settings.rounds),
    panels: panels.filter(({ rows }) => rows.length > 0)
  }
}

const milliseconds = (value: number): string => `${value >= 100 ? Math.round(value) : value.toPrecision(3)} ms`

function medians (workloads: WorkloadSummary[]): number[] {
  return workloads.flatMap(({ peers }) => Object.values(peers).map(({ median }) => median))
}

function rows (workloads: WorkloadSummary[], roles: DiscoveryResult['peers']): Row[] {
  return workloads.map(({ title, peers, ratio, target, met, valid }) => ({
    title,
    bars: Object.entries(peers).map(([name, { median }]) => ({ label: labelOf(name), role: roles[name]?.role ?? 'cgi', value: median })),
    ratios: ratio === null ? [] : [{ text: valid ? ratioText(ratio) : 'invalid', target: target === null ? null : targetText(target), failed: !valid || met === false }]
  }))
}
