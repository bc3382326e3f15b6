import type { HttpRequest } from './discovery-workloads.ts'
import type { Repositories } from './packs-repositories.ts'
import { commitsOf, fullClone, historyOf, shallowClone } from './packs-requests.ts'

/** What a median of ours is compared with: another contestant's median, as a ratio, or a plain number. */
export type Against = 'fastest-cgi' | 'static' | 'pipe' | 'number'

export interface Goal {
  against: Against
  /** At least, at most, or exactly. */
  is: '>=' | '<=' | '='
  target: number
}

/** One figure that a scenario yields, with what was promised of it. */
export interface Row {
  figure: string
  title: string
  unit: string
  better: 'higher' | 'lower'
  goals: Goal[]
}

interface Common {
  name: string
  rows: Row[]
}

/** The same request again and again, by wrk. */
export interface RateScenario extends Common { kind: 'rate', request: HttpRequest, connections: number }
/** The same large request again and again: bytes per second. */
export interface StreamScenario extends Common { kind: 'stream', request: HttpRequest, connections: number }
/** The same request from many at once, and nothing is known before. */
export interface CrowdScenario extends Common { kind: 'crowd', request: HttpRequest, clones: number }
/** No request comes twice, in no turn of a round. */
export interface DifferentScenario extends Common { kind: 'different', requests: (turn: number) => HttpRequest[], count: number, connections: number, turns: number }
/** Readers that are slower than anything else. */
export interface SlowScenario extends Common { kind: 'slow', request: HttpRequest, readers: number, bytesPerSecond: number, seconds: number }

export type Scenario = RateScenario | StreamScenario | CrowdScenario | DifferentScenario | SlowScenario

const rate = (title: string, goals: Goal[]): Row => ({ figure: 'requestsPerSecond', title, unit: 'requests/s', better: 'higher', goals })

function crowd (name: string, title: string, request: HttpRequest, goals: boolean): CrowdScenario {
  return {
    kind: 'crowd',
    name,
    request,
    clones: 64,
    rows: [
      { figure: 'cpuSeconds', title, unit: 's CPU', better: 'lower', goals: goals ? [{ against: 'fastest-cgi', is: '<=', target: 1 / 15 }] : [] },
      { figure: 'packObjects', title: 'git pack-objects started', unit: 'processes', better: 'lower', goals: [{ against: 'number', is: '=', target: 1 }] },
      { figure: 'peakMiB', title: 'peak memory of the server process', unit: 'MiB', better: 'lower', goals: [{ against: 'number', is: '<=', target: 300 }] }
    ]
  }
}

function different (name: string, what: string, requests: DifferentScenario['requests'], count: number, connections: number): DifferentScenario {
  return {
    kind: 'different',
    name,
    requests,
    count,
    connections,
    turns: TURNS,
    rows: [
      { figure: 'cpuMilliseconds', title: what, unit: 'ms CPU', better: 'lower', goals: [{ against: 'pipe', is: '<=', target: 1.25 }, { against: 'fastest-cgi', is: '<=', target: 1 }] },
      rate(what, [{ against: 'fastest-cgi', is: '>=', target: 1 }])
    ]
  }
}

/** As many as there are contestants: each comes at each place once. */
const TURNS = 6

export const NAMES = ['shallow', 'full-3mb', 'full-300mb', 'clones-64', 'clones-64-bitmap', 'different-shallow', 'different-full', 'slow-readers']

export function scenarios ({ large, bitmapped, middle, random }: Repositories): Scenario[] {
  const [shallowRequests, fullRequests] = [40, 12]
  return [
    { kind: 'rate', name: 'shallow', request: shallowClone(large), connections: 8, rows: [rate('shallow clone, 1 MB', [{ against: 'fastest-cgi', is: '>=', target: 60 }, { against: 'static', is: '>=', target: 0.5 }])] },
    { kind: 'rate', name: 'full-3mb', request: fullClone(middle), connections: 8, rows: [rate('full clone, 3 MB', [{ against: 'fastest-cgi', is: '>=', target: 15 }])] },
    { kind: 'stream', name: 'full-300mb', request: fullClone(random), connections: 4, rows: [{ figure: 'megabytesPerSecond', title: 'full clone, 300 MB', unit: 'MB/s', better: 'higher', goals: [{ against: 'static', is: '>=', target: 0.7 }] }] },
    crowd('clones-64', '64 clones of 100 MB', fullClone(large), true),
    crowd('clones-64-bitmap', 'the same, with a bitmap', fullClone(bitmapped), false),
    different('different-shallow', 'shallow clones, all different', (turn) => commitsOf(large, turn, shallowRequests).map((id) => shallowClone(large, id)), shallowRequests, 4),
    different('different-full', 'full clones, all different', (turn) => commitsOf(large, turn, fullRequests).map((id) => historyOf(large, id)), fullRequests, 2),
    {
      kind: 'slow',
      name: 'slow-readers',
      request: fullClone(random),
      readers: 50,
      bytesPerSecond: 1_000_000,
      seconds: 20,
      rows: [{ figure: 'mebibytesEach', title: '50 readers at 1 MB/s, 300 MB each', unit: 'MiB each', better: 'lower', goals: [{ against: 'number', is: '<=', target: 2 }] }]
    }
  ]
}

/** What else the result file says about it. */
export function settingsOf (scenario: Scenario): Record<string, number | string> {
  switch (scenario.kind) {
    case 'rate':
    case 'stream': return { connections: scenario.connections }
    case 'crowd': return { clones: scenario.clones }
    case 'different': return { turnsPerRound: scenario.turns, requestsPerTurn: scenario.count, connections: scenario.connections }
    case 'slow': return { readers: scenario.readers, bytesPerSecond: scenario.bytesPerSecond, seconds: scenario.seconds }
  }
}
