import type { Observed } from '../status/registration-status.ts'

/** A value and its labels' values. */
export type Reading = [number, ...string[]]

export interface Figure {
  type: 'counter' | 'gauge'
  name: string
  help: string
  labels: string[]
  /** How the values of several processes become one. Default: their sum. */
  aggregator?: 'max'
  read (observed: Observed): Reading[]
}

/** Everything that is read when somebody asks. Names as Prometheus wants them: base units, counters end with _total. */
export const figures: readonly Figure[] = [
  {
    type: 'counter',
    name: 'git_http_operations_total',
    help: 'Operations that have ended',
    labels: ['service', 'outcome'],
    read: ({ totals }) => totals.ended.map(({ service, outcome, count }) => [count, service, outcome])
  },
  {
    type: 'counter',
    name: 'git_http_received_bytes_total',
    help: 'Bytes of request bodies of operations that have ended',
    labels: ['service'],
    read: ({ totals }) => [...totals.bytes].map(([service, bytes]) => [bytes.in, service])
  },
  {
    type: 'counter',
    name: 'git_http_sent_bytes_total',
    help: 'Bytes of answers of operations that have ended',
    labels: ['service'],
    read: ({ totals }) => [...totals.bytes].map(([service, bytes]) => [bytes.out, service])
  },
  {
    type: 'gauge',
    name: 'git_http_operations_in_flight',
    help: 'Operations in flight',
    labels: ['service'],
    read: ({ operations }) => [...count(operations.records.map(({ operation }) => operation?.service ?? 'unknown'))].map(([service, number]) => [number, service])
  },
  gauge('git_http_git_processes', 'Gits that hold a slot', ({ admission }) => admission.counters.running),
  gauge('git_http_git_processes_limit', 'Slots for gits', ({ admission }) => admission.limits.maxConcurrent),
  gauge('git_http_queue_length', 'Requests that wait for a slot', ({ admission }) => admission.counters.queued),
  counter('git_http_queue_refused_total', 'Requests that were refused because the queue was full', ({ admission }) => admission.counters.refused),
  counter('git_http_queue_timeouts_total', 'Requests that waited too long for a slot', ({ admission }) => admission.counters.timedOut),
  {
    type: 'counter',
    name: 'git_http_cache_hits_total',
    help: 'Answers that needed no git: remembered refs, packs in memory, in the store, or being made for somebody else',
    labels: ['tier'],
    read: ({ answers, packs }) => [
      ...answers === null ? [] : [[answers.counters.hits, 'refs'] as Reading],
      ...packs === null ? [] : [[packs.counters.hits.memory, 'memory'], [packs.counters.hits.store, 'store'], [packs.counters.shared, 'shared']] as Reading[]
    ]
  },
  {
    type: 'counter',
    name: 'git_http_cache_misses_total',
    help: 'Answers that git was asked for',
    labels: ['cache'],
    read: ({ answers, packs }) => [
      ...answers === null ? [] : [[answers.counters.misses, 'refs'] as Reading],
      ...packs === null ? [] : [[packs.counters.misses, 'packs'] as Reading]
    ]
  },
  {
    type: 'gauge',
    name: 'git_http_cache_bytes',
    help: 'Bytes of memory for what is kept',
    labels: ['tier'],
    read: ({ answers, packs }) => [
      ...answers === null ? [] : [[answers.bytes, 'refs'] as Reading],
      ...packs === null ? [] : [[packs.counters.stored.memory, 'memory'] as Reading]
    ]
  },
  {
    // The processes of a machine have one folder.
    ...gauge('git_http_cache_directory_bytes', 'Bytes in the folder for packs', ({ packs }) => packs?.counters.stored.directory ?? 0),
    aggregator: 'max'
  },
  counter('git_http_cache_failures_total', 'How often something went wrong with keeping or finding packs', ({ packs }) => packs?.counters.failures ?? 0),
  gauge('git_http_helpers', 'Helper processes that are ready to start gits', ({ starter }) => starter.counters?.helpers ?? 0),
  gauge('git_http_helper_queue_length', 'Starts that wait for a helper', ({ starter }) => starter.counters?.waiting ?? 0),
  counter('git_http_helper_restarts_total', 'Helper processes that ended and were replaced', ({ starter }) => starter.counters?.restarts ?? 0),
  counter('git_http_git_starts_total', 'Gits that were started, those that answer questions about a repository included', ({ starter }) => starter.counters?.starts ?? 0)
]

function gauge (name: string, help: string, read: (observed: Observed) => number): Figure {
  return { type: 'gauge', name, help, labels: [], read: (observed) => [[read(observed)]] }
}

function counter (name: string, help: string, read: (observed: Observed) => number): Figure {
  return { ...gauge(name, help, read), type: 'counter' }
}

function count (names: string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}
