import type { Mark, Spec } from 'vega'
import type { WorkloadSummary } from './discovery-report.ts'
import type { Peer } from './peers/peer.ts'

/** What the drawing uses of results/discovery.json. */
export interface Result {
  machine: Record<string, string | number>
  programs: Record<string, string>
  settings: { rounds: number, secondsPerMeasurement: number }
  peers: Record<string, { title: string, role: Peer['role'] }>
  workloads: WorkloadSummary[]
}

const INK = '#1f2328'
const QUIET = '#59636e'
const LINE = '#d1d9e0'
const FILL = { ours: '#0969da', cgi: '#9aa4af', ceiling: '#e3e8ed' }
const FONT = '-apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif'

const LABELS = 270
const BARS = 500
const RATIO = 120
const WIDTH = LABELS + BARS + RATIO
const BAR = 13
const GAP = 14

interface Panel {
  title: string
  note: string
  workloads: WorkloadSummary[]
  scale: 'log' | 'linear'
  domain: [number, number]
  ticks: number[]
  format (value: number): string
}

export function drawing (result: Result): Spec {
  const { machine, programs, settings, workloads } = result
  const marks: Mark[] = []
  const scales: NonNullable<Spec['scales']> = []
  let y = 34
  marks.push(text('Learning the refs: fastify-git-http and three servers with git-http-backend', 0, y - 12, { size: 18, weight: 'bold' }))
  marks.push(text(`${machine['cores']} cores of ${String(machine['cpu']).replaceAll(/\((R|TM)\)/g, '')}, Node ${machine['node']}, ${machine['git']}, ${programs['nginx']}, ${(programs['apache'] ?? '').replace(/ \(.*/, '')}; ` +
    `median of ${settings.rounds} round${settings.rounds === 1 ? '' : 's'}, ${machine['date']}`, 0, y + 8, { fill: QUIET }))
  y += 42
  for (const [index, panel] of panels(workloads).entries()) {
    const name = `x${index}`
    scales.push({ name, type: panel.scale, domain: panel.domain, range: [LABELS, LABELS + BARS - 110], clamp: true })
    y = drawPanel(marks, panel, name, result, y) + 34
  }
  return {
    $schema: 'https://vega.github.io/schema/vega/v6.json',
    background: '#ffffff',
    autosize: 'none',
    width: WIDTH,
    height: y - 24,
    padding: 20,
    scales,
    marks
  }
}

function panels (workloads: WorkloadSummary[]): Panel[] {
  const throughput = workloads.filter(({ unit }) => unit === 'requests/s')
  const clients = workloads.filter(({ name }) => name.startsWith('git-'))
  const latency = workloads.filter(({ name }) => name === 'latency')
  const rate = { scale: 'log' as const, domain: [1, 100_000] as [number, number], ticks: [1, 10, 100, 1000, 10_000, 100_000], format: (value: number) => value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(2) }
  const all: Panel[] = [
    { ...rate, title: 'Nothing has changed: requests per second', note: 'more is better; logarithmic', workloads: throughput.filter(({ settings }) => settings['stateChangesBeforeEachRequest'] === false) },
    { ...rate, title: 'A ref changes before every request: requests per second', note: 'more is better; logarithmic', workloads: throughput.filter(({ settings }) => settings['stateChangesBeforeEachRequest'] === true) },
    { title: 'The git command: wall time', note: 'less is better', workloads: clients, scale: 'linear', ...linear(clients), format: milliseconds },
    { title: 'While 16 clones run: latency of the slowest hundredth', note: 'less is better', workloads: latency, scale: 'linear', ...linear(latency), format: milliseconds }
  ]
  return all.filter(({ workloads }) => workloads.length > 0)
}

const milliseconds = (value: number): string => `${value >= 100 ? Math.round(value) : value.toPrecision(3)} ms`

/** From zero to the longest bar, in four or five round steps. */
function linear (workloads: WorkloadSummary[]): { domain: [number, number], ticks: number[] } {
  const longest = Math.max(...workloads.flatMap(({ peers }) => Object.values(peers).map(({ median }) => median)), 1)
  const power = 10 ** Math.floor(Math.log10(longest / 4))
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= longest / 5) ?? 10)
  const end = Math.ceil(longest / step)
  return { domain: [0, end * step], ticks: Array.from({ length: end + 1 }, (_, index) => index * step) }
}

/** The panel's lower edge. */
function drawPanel (marks: Mark[], panel: Panel, scale: string, { peers }: Result, top: number): number {
  marks.push(text(panel.title, 0, top, { size: 14, weight: 'bold' }))
  marks.push(text(panel.note, 0, top + 16, { fill: QUIET }))
  marks.push(text('to the fastest with git-http-backend', WIDTH, top, { fill: QUIET, align: 'right', size: 11 }))
  const first = top + 16
  const bottom = panel.workloads.reduce((sum, { peers }) => sum + Object.keys(peers).length * BAR + GAP, first)
  for (const tick of panel.ticks) {
    marks.push({ type: 'rule', encode: { enter: { x: { scale, value: tick }, y: { value: first }, y2: { value: bottom }, stroke: { value: LINE } } } })
    marks.push(text(tick.toLocaleString('en'), { scale, value: tick }, bottom + 12, { fill: QUIET, align: 'center', size: 11 }))
  }
  let y = first + GAP / 2
  for (const workload of panel.workloads) {
    const entries = Object.entries(workload.peers)
    const middle = y + entries.length * BAR / 2
    marks.push(text(workload.title, LABELS - 12, middle + 4, { align: 'right' }))
    drawRatio(marks, workload, middle)
    for (const [name, { median }] of entries) {
      const role = peers[name]?.role ?? 'cgi'
      const start = panel.scale === 'log' ? panel.domain[0] : 0
      marks.push({ type: 'rect', encode: { enter: { x: { scale, value: start }, x2: { scale, value: median }, y: { value: y + 1 }, height: { value: BAR - 2 }, fill: { value: FILL[role] } } } })
      const label = `${name === 'ours' ? 'fastify-git-http' : name === 'static' ? 'nginx, static file' : name} ${panel.format(median)}`
      marks.push(text(label, { scale, value: median, offset: 5 }, y + BAR - 3, { size: 11, weight: role === 'ours' ? 'bold' : 'normal', fill: role === 'ours' ? INK : QUIET }))
      y += BAR
    }
    y += GAP
  }
  return bottom + 16
}

function drawRatio (marks: Mark[], { ratio, target, met, valid }: WorkloadSummary, middle: number): void {
  if (ratio === null) return
  const fill = !valid || met === false ? '#d1242f' : '#0969da'
  marks.push(text(valid ? `${ratio >= 10 ? Math.round(ratio) : ratio.toPrecision(2)} ×` : 'invalid', WIDTH, middle + (target === null ? 6 : 1), { align: 'right', size: 18, weight: 'bold', fill }))
  if (target !== null) marks.push(text(`target ${target.replace('>=', '≥').replace('<=', '≤')}`, WIDTH, middle + 16, { align: 'right', size: 11, fill: QUIET }))
}

type Position = number | { scale: string, value: number, offset?: number }

function text (value: string, x: Position, y: number, { size = 12, weight = 'normal', fill = INK, align = 'left' }: { size?: number, weight?: 'bold' | 'normal', fill?: string, align?: 'left' | 'center' | 'right' } = {}): Mark {
  return {
    type: 'text',
    encode: {
      enter: {
        text: { value },
        x: typeof x === 'number' ? { value: x } : x,
        y: { value: y },
        font: { value: FONT },
        fontSize: { value: size },
        fontWeight: { value: weight },
        fill: { value: fill },
        align: { value: align }
      }
    }
  }
}
