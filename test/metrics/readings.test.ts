/** Each metric tells what its name says. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from 'prom-client'
import { openMetrics } from '../../lib/metrics/metrics.ts'
import { Totals } from '../../lib/status/totals.ts'
import type { OperationSummary } from '../../lib/summary.ts'
import { readme } from '../fixtures/readme.ts'

function summary (outcome: OperationSummary['outcome'], more: object = {}): OperationSummary {
  return { operation: { service: 'upload-pack', phase: 'exchange' }, outcome, bytesIn: 10, bytesOut: 20, durations: { total: 2500, answered: 500 }, ...more } as unknown as OperationSummary
}

/** A registry of a registration in which every figure is another one. */
async function filled (): Promise<Registry> {
  const register = new Registry()
  const metrics = await openMetrics(register)
  const totals = new Totals()
  const ended = [summary('completed'), summary('completed'), summary('git-failed'), summary('refused', { operation: null, durations: { total: 3, answered: null } })]
  for (const one of ended) {
    totals.add(one)
    metrics.observe(one)
  }
  metrics.watch({
    totals,
    operations: { records: [{ operation: { service: 'receive-pack' } }, { operation: null }, { operation: null }] },
    admission: { counters: { running: 101, queued: 102, refused: 103, timedOut: 104 }, limits: { maxConcurrent: 105 } },
    answers: { counters: { hits: 201, misses: 202 }, bytes: 203 },
    packs: { counters: { hits: { memory: 301, store: 302 }, shared: 303, misses: 304, stored: { memory: 305, directory: 306 }, failures: 307 } },
    starter: { counters: { helpers: 401, waiting: 402, restarts: 403, starts: 404 } }
  } as never)
  return register
}

test('every figure is under its name, with its labels', async () => {
  const lines = (await (await filled()).metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  assert.deepEqual(lines.filter((line) => !line.includes('_seconds')).sort(), [
    'git_http_cache_bytes{tier="memory"} 305',
    'git_http_cache_bytes{tier="refs"} 203',
    'git_http_cache_directory_bytes 306',
    'git_http_cache_failures_total 307',
    'git_http_cache_hits_total{tier="memory"} 301',
    'git_http_cache_hits_total{tier="refs"} 201',
    'git_http_cache_hits_total{tier="shared"} 303',
    'git_http_cache_hits_total{tier="store"} 302',
    'git_http_cache_misses_total{cache="packs"} 304',
    'git_http_cache_misses_total{cache="refs"} 202',
    'git_http_git_processes 101',
    'git_http_git_processes_limit 105',
    'git_http_git_starts_total 404',
    'git_http_helper_queue_length 402',
    'git_http_helper_restarts_total 403',
    'git_http_helpers 401',
    'git_http_operations_in_flight{service="receive-pack"} 1',
    'git_http_operations_in_flight{service="unknown"} 2',
    'git_http_operations_total{service="unknown",outcome="refused"} 1',
    'git_http_operations_total{service="upload-pack",outcome="completed"} 2',
    'git_http_operations_total{service="upload-pack",outcome="git-failed"} 1',
    'git_http_queue_length 102',
    'git_http_queue_refused_total 103',
    'git_http_queue_timeouts_total 104',
    'git_http_received_bytes_total{service="unknown"} 10',
    'git_http_received_bytes_total{service="upload-pack"} 30',
    'git_http_sent_bytes_total{service="unknown"} 20',
    'git_http_sent_bytes_total{service="upload-pack"} 60'
  ])
  const times = lines.filter((line) => /_(?:sum|count)\{/.test(line)).sort()
  assert.deepEqual(times, [
    'git_http_first_byte_seconds_count{service="upload-pack",phase="exchange"} 3',
    'git_http_first_byte_seconds_sum{service="upload-pack",phase="exchange"} 1.5',
    'git_http_operation_duration_seconds_count{service="unknown",phase="unknown"} 1',
    'git_http_operation_duration_seconds_count{service="upload-pack",phase="exchange"} 3',
    'git_http_operation_duration_seconds_sum{service="unknown",phase="unknown"} 0.003',
    'git_http_operation_duration_seconds_sum{service="upload-pack",phase="exchange"} 7.5'
  ])
})

test('the README\'s table has every metric with its labels and their values, and no other', async () => {
  const chapter = /^### Metrics$([^]*?)^###? /m.exec(await readme())?.[1] ?? assert.fail('no chapter')
  const documented = new Map<string, { labels: string[], values: string[] }>()
  for (const [, names = '', labels = ''] of chapter.matchAll(/^\| (`git_http_[^|]*) \| ([^|]*)\|/gm)) {
    const [labelNames = '', values = ''] = labels.trim().split(': ')
    for (const [, name = ''] of names.matchAll(/`(\w+)`/g)) documented.set(name, { labels: list(labelNames), values: list(values) })
  }
  const register = await filled()
  const real = register.getMetricsAsArray() as unknown as Array<{ name: string, labelNames: string[] }>
  assert.deepEqual([...documented.keys()].sort(), real.map(({ name }) => name).sort())
  for (const { name, labelNames } of real) assert.deepEqual(documented.get(name)?.labels, [...labelNames], name)
  for (const [name, { labels: [label = ''], values }] of documented) {
    if (values.length === 0) continue
    const { values: readings } = await register.getSingleMetric(name)?.get() as { values: Array<{ labels: Record<string, string> }> }
    assert.deepEqual(readings.map(({ labels }) => labels[label]).sort(), [...values].sort(), name)
  }
})

function list (text: string): string[] {
  return text.split(', ').map((item) => item.trim()).filter((item) => item !== '')
}
