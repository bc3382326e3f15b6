import { RATE, labelOf, linear, ratioText, subtitle, targetText, type Chart, type Panel, type Row } from './chart-drawing.ts'
import type { Figure, Reached } from './packs-report.ts'
import type { Peer } from './peers/peer.ts'

/** What the drawing uses of results/packs.json. */
export interface PacksResult {
  machine: Record<string, string | number>
  programs: Record<string, string>
  settings: { rounds: number }
  peers: Record<string, { title: string, role: Peer['role'] }>
  figures: Figure[]
}

const LABELS: Record<string, string> = { uncached: 'without cache.packs', pipe: 'git alone, no server' }

export function packsChart ({ machine, programs, settings, peers, figures }: PacksResult): Chart {
  const of = (figure: string, scenario = ''): Figure[] => figures.filter((each) => each.figure === figure && each.scenario.startsWith(scenario))
  const panel = (title: string, note: string, ratioNote: string, chosen: Figure[]): Panel =>
    ({ title, note, ratioNote, rows: chosen.map((figure) => row(figure, peers)), ...linear(medians(chosen)), format: RATE.format })
  const repeated = [...of('requestsPerSecond', 'shallow'), ...of('requestsPerSecond', 'full')]
  const panels: Panel[] = [
    { ...panel('The same fetch again: requests per second', 'more is better; logarithmic', 'to the fastest with git-http-backend', repeated), ...RATE },
    panel('The same large clone again: megabytes per second', 'more is better', 'to the static file', of('megabytesPerSecond')),
    panel('64 clones at once: seconds of processor time', `less is better; server and children${crowdNote(figures)}`, 'to the fastest with git-http-backend', of('cpuSeconds')),
    panel('No request comes twice: milliseconds of processor time per request', 'less is better; server and children', 'to git alone', of('cpuMilliseconds')),
    panel('No request comes twice: requests per second', 'more is better', 'to the fastest with git-http-backend', of('requestsPerSecond', 'different')),
    panel('Slow readers: MiB of memory for each', 'less is better', 'MiB', of('mebibytesEach'))
  ]
  return {
    title: 'Fetching: fastify-git-http and three servers with git-http-backend',
    note: subtitle(machine, programs, settings.rounds),
    panels: panels.filter(({ rows }) => rows.length > 0)
  }
}

/** What one sentence says better than bars of one server. */
function crowdNote (figures: Figure[]): string {
  const ours = (figure: string): number | undefined => figures.find((each) => each.scenario === 'clones-64' && each.figure === figure)?.peers['ours']?.median
  const [started, peak] = [ours('packObjects'), ours('peakMiB')]
  return started === undefined || peak === undefined ? '' : `. fastify-git-http started git pack-objects ${started} time${started === 1 ? '' : 's'} and took ${Math.round(peak)} MiB`
}

function medians (figures: Figure[]): number[] {
  return figures.flatMap(({ peers }) => Object.values(peers).map(({ median }) => median))
}

function row ({ title, peers, goals, valid }: Figure, roles: PacksResult['peers']): Row {
  return {
    title,
    bars: Object.entries(peers).map(([name, { median }]) => ({ label: LABELS[name] ?? labelOf(name), role: roles[name]?.role ?? 'cgi', value: median })),
    ratios: goals.map((goal, index) => ({ text: valid ? reachedText(goal, index > 0) : 'invalid', target: targetText(goal.target), failed: !valid || goal.met === false }))
  }
}

function reachedText ({ value, contestant }: Reached, named: boolean): string {
  if (value === null) return '-'
  if (contestant === null) return value.toPrecision(2)
  return `${ratioText(value)}${named ? ` ${labelOf(contestant).replace('nginx, ', '')}` : ''}`
}
