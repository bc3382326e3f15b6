import { median } from './machine.ts'
import type { Sample } from './packs-measure.ts'
import { settingsOf, type Goal, type Scenario } from './packs-scenarios.ts'
import type { Peer } from './peers/peer.ts'

/** A server, or git alone. */
export type Contestant = Pick<Peer, 'name' | 'title' | 'role'>

export interface PeerFigure {
  median: number
  rounds: number[]
}

export interface Reached {
  against: Goal['against']
  /** The contestant's name, or null for a plain number. */
  contestant: string | null
  /** Ours, or ours divided by the contestant's: the median of all rounds' ratios, where both have the same rounds. */
  value: number | null
  target: string
  met: boolean | null
}

export interface Figure {
  scenario: string
  figure: string
  title: string
  unit: string
  better: 'higher' | 'lower'
  settings: Record<string, number | string>
  peers: Record<string, PeerFigure>
  fastestCgi: string | null
  goals: Reached[]
  valid: boolean
}

export type Measured = Map<Contestant, Sample[]>

const round = (value: number, digits = 4): number => Number(value.toPrecision(digits))

export function summarize (scenario: Scenario, measured: Measured): Figure[] {
  const valid = [...measured.values()].every((samples) => samples.every(({ errors }) => errors.length === 0))
  return scenario.rows.map((row) => {
    const figures = [...measured].flatMap(([contestant, samples]) => {
      const rounds = samples.flatMap(({ figures }) => figures[row.figure] ?? [])
      return rounds.length === 0 ? [] : [{ contestant, median: round(median(rounds)), rounds: rounds.map((value) => round(value)) }]
    })
    const cgi = figures.filter(({ contestant }) => contestant.role === 'cgi').sort((a, b) => row.better === 'higher' ? b.median - a.median : a.median - b.median)
    const peers = Object.fromEntries(figures.map(({ contestant, median, rounds }) => [contestant.name, { median, rounds }]))
    const fastestCgi = cgi[0]?.contestant.name ?? null
    const { figure, title, unit, better } = row
    return { scenario: scenario.name, figure, title, unit, better, settings: settingsOf(scenario), peers, fastestCgi, goals: row.goals.map((goal) => reach(goal, peers, fastestCgi, valid)), valid }
  })
}

function reach ({ against, is, target }: Goal, peers: Figure['peers'], fastestCgi: string | null, valid: boolean): Reached {
  const contestant = against === 'number' ? null : against === 'fastest-cgi' ? fastestCgi : against
  const [ours, other] = [peers['ours'], peers[contestant ?? '']]
  const value = ours === undefined ? null : against === 'number' ? ours.median : other === undefined ? null : round(ratio(ours, other))
  const met = value === null ? null : valid && (is === '>=' ? value >= target : is === '<=' ? value <= target : value === target)
  return { against, contestant, value, target: `${is} ${round(target, 3)}`, met }
}

/** Of what was measured at the same time, one after the other: what the machine does to a whole round is in both. */
function ratio (ours: PeerFigure, other: PeerFigure): number {
  if (ours.rounds.length !== other.rounds.length) return ours.median / other.median
  return median(ours.rounds.map((value, index) => value / (other.rounds[index] as number)))
}

/** All that was seen in every round, for the file. */
export function details (measured: Measured): Record<string, Sample[]> {
  const rounded = ({ figures, errors }: Sample): Sample => ({ figures: Object.fromEntries(Object.entries(figures).map(([key, value]) => [key, round(value)])), errors })
  return Object.fromEntries(Array.from(measured, ([{ name }, samples]) => [name, samples.map(rounded)]))
}

const show = (value: number): string => value >= 100 ? Math.round(value).toLocaleString('en') : String(round(value, 3))

/** One line while it is being measured. */
export function progress (round: number, rounds: number, scenario: Scenario, { name }: Contestant, { figures, errors }: Sample): string {
  const all = Object.entries(figures).map(([key, value]) => `${key} ${show(value)}`).join(', ')
  return `${round}/${rounds}  ${scenario.name.padEnd(19)}${name.padEnd(9)}${errors.length > 0 ? `INVALID: ${errors[0]}; ` : ''}${all}`
}

/** Medians, and what was promised. */
export function table (figures: Figure[], contestants: string[]): string {
  const head = ['', 'unit', ...contestants, 'goals']
  const rows = figures.map(({ title, unit, peers, fastestCgi, goals, valid }) => [
    title,
    unit,
    ...contestants.map((name) => {
      const figure = peers[name]
      return figure === undefined ? '' : `${show(figure.median)}${name === fastestCgi ? '*' : ''}`
    }),
    valid ? goals.map(goalText).join('; ') : 'INVALID'
  ])
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => (row[column] as string).length)))
  const line = (row: string[]): string => row.map((cell, column) => column < 2 || column === row.length - 1 ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number)).join('  ').trimEnd()
  return `${[head, ...rows].map(line).join('\n')}\n\n* the fastest CGI peer`
}

export function goalText ({ value, contestant, target, met }: Reached): string {
  if (value === null) return `${contestant ?? 'ours'}: not measured, target ${target}`
  return `${show(value)}${contestant === null ? '' : ` x ${contestant}`} (${target}, ${met === true ? 'met' : 'NOT MET'})`
}
