import type { Mark, Spec } from 'vega'
import type { Peer } from './peers/peer.ts'

/** What is drawn, whichever benchmark it comes from. */
export interface Chart {
  title: string
  /** Machine, programs, rounds. */
  note: string
  panels: Panel[]
}

export interface Panel {
  title: string
  note: string
  /** What the figures in the last column are. */
  ratioNote: string
  rows: Row[]
  scale: 'log' | 'linear'
  domain: [number, number]
  ticks: number[]
  format (value: number): string
}

export interface Row {
  title: string
  bars: Array<{ label: string, role: Peer['role'], value: number }>
  /** Beside the bars. The first one is drawn large. */
  ratios: Array<{ text: string, target: string | null, failed: boolean }>
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

export function drawing ({ title, note, panels }: Chart): Spec {
  const marks: Mark[] = []
  const scales: NonNullable<Spec['scales']> = []
  let y = 34
  marks.push(text(title, 0, y - 12, { size: 18, weight: 'bold' }))
  marks.push(text(note, 0, y + 8, { fill: QUIET }))
  y += 42
  for (const [index, panel] of panels.entries()) {
    const name = `x${index}`
    scales.push({ name, type: panel.scale, domain: panel.domain, range: [LABELS, LABELS + BARS - 110], clamp: true })
    y = drawPanel(marks, panel, name, y) + 34
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

/** A logarithmic scale for requests per second. */
export const RATE: Pick<Panel, 'scale' | 'domain' | 'ticks' | 'format'> = {
  scale: 'log',
  domain: [1, 100_000],
  ticks: [1, 10, 100, 1000, 10_000, 100_000],
  format: (value) => value >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(2)))
}

/** From zero to the longest bar, in four or five round steps. */
export function linear (values: number[]): Pick<Panel, 'scale' | 'domain' | 'ticks'> {
  const longest = Math.max(...values, 1)
  const power = 10 ** Math.floor(Math.log10(longest / 4))
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= longest / 5) ?? 10)
  const end = Math.ceil(longest / step)
  return { scale: 'linear', domain: [0, end * step], ticks: Array.from({ length: end + 1 }, (_, index) => index * step) }
}

export function subtitle (machine: Record<string, string | number>, programs: Record<string, string>, rounds: number): string {
  return `${machine['cores']} cores of ${String(machine['cpu']).replaceAll(/\((R|TM)\)/g, '')}, Node ${machine['node']}, ${machine['git']}, ${programs['nginx']}, ${(programs['apache'] ?? '').replace(/ \(.*/, '')}; ` +
    `median of ${rounds} round${rounds === 1 ? '' : 's'}, ${machine['date']}`
}

export function ratioText (value: number): string {
  return `${value >= 10 ? Math.round(value) : value.toPrecision(2)} ×`
}

export function targetText (target: string): string {
  return `target ${target.replace('>=', '≥').replace('<=', '≤')}`
}

/** A contestant's name beside its bar. */
export function labelOf (name: string): string {
  return { ours: 'fastify-git-http', static: 'nginx, static file' }[name] ?? name
}

/** The panel's lower edge. */
function drawPanel (marks: Mark[], panel: Panel, scale: string, top: number): number {
  marks.push(text(panel.title, 0, top, { size: 14, weight: 'bold' }))
  marks.push(text(panel.note, 0, top + 16, { fill: QUIET }))
  marks.push(text(panel.ratioNote, WIDTH, top, { fill: QUIET, align: 'right', size: 11 }))
  const first = top + 16
  const bottom = panel.rows.reduce((sum, { bars }) => sum + bars.length * BAR + GAP, first)
  for (const tick of panel.ticks) {
    marks.push({ type: 'rule', encode: { enter: { x: { scale, value: tick }, y: { value: first }, y2: { value: bottom }, stroke: { value: LINE } } } })
    marks.push(text(tick.toLocaleString('en'), { scale, value: tick }, bottom + 12, { fill: QUIET, align: 'center', size: 11 }))
  }
  let y = first + GAP / 2
  for (const row of panel.rows) {
    const middle = y + row.bars.length * BAR / 2
    marks.push(text(row.title, LABELS - 12, middle + 4, { align: 'right' }))
    drawRatios(marks, row, middle)
    for (const { label, role, value } of row.bars) {
      const start = panel.scale === 'log' ? panel.domain[0] : 0
      marks.push({ type: 'rect', encode: { enter: { x: { scale, value: start }, x2: { scale, value }, y: { value: y + 1 }, height: { value: BAR - 2 }, fill: { value: FILL[role] } } } })
      marks.push(text(`${label} ${panel.format(value)}`, { scale, value, offset: 5 }, y + BAR - 3, { size: 11, weight: role === 'ours' ? 'bold' : 'normal', fill: role === 'ours' ? INK : QUIET }))
      y += BAR
    }
    y += GAP
  }
  return bottom + 16
}

function drawRatios (marks: Mark[], { ratios }: Row, middle: number): void {
  const [first, ...others] = ratios
  if (first === undefined) return
  const top = middle - 8 * others.length
  marks.push(text(first.text, WIDTH, top + (first.target === null ? 6 : 1), { align: 'right', size: 18, weight: 'bold', fill: first.failed ? '#d1242f' : '#0969da' }))
  if (first.target !== null) marks.push(text(first.target, WIDTH, top + 16, { align: 'right', size: 11, fill: QUIET }))
  for (const [index, { text: value, target, failed }] of others.entries()) {
    marks.push(text(`${value}${target === null ? '' : `, ${target}`}`, WIDTH, top + 31 + 15 * index, { align: 'right', size: 11, fill: failed ? '#d1242f' : QUIET }))
  }
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
