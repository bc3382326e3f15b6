import type { CounterConfiguration, GaugeConfiguration, Histogram } from 'prom-client'
import { InvalidOptionError } from '../errors.ts'
import type { Observed } from '../status/registration-status.ts'
import type { OperationSummary } from '../summary.ts'
import { figures, type Figure, type Reading } from './figures.ts'
import type { MetricsRegistry } from './registry.ts'

/** Upper bounds in seconds: from an answer out of memory to a large clone over a slow line. */
const DURATIONS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800]

const sets = new WeakMap<MetricsRegistry, Promise<Metrics>>()

/** The metrics in `register`, made when they are needed first. @throws InvalidOptionError without prom-client. */
export async function openMetrics (register: MetricsRegistry): Promise<Metrics> {
  let metrics = sets.get(register)
  if (metrics === undefined) {
    metrics = Metrics.open(register)
    sets.set(register, metrics)
  }
  return await metrics
}

/** A counter or gauge, to be filled anew. */
interface Summing {
  reset (): void
  inc (labels: object, value: number): void
}

/** The metrics of all registrations that share a registry of prom-client. */
export class Metrics {
  readonly #observed = new Set<Observed>()
  /** Counters of registrations that are closed: no sum falls for that. */
  readonly #past = new Map<string, Reading[]>()
  readonly #durations: Histogram
  readonly #firstBytes: Histogram

  private constructor ({ Counter, Gauge, Histogram }: typeof import('prom-client'), register: MetricsRegistry) {
    const registers = [register as never]
    for (const { type, name, help, labels, aggregator = 'sum', read } of figures) {
      const fill = (metric: Summing): void => {
        metric.reset()
        const readings = [...this.#past.get(name) ?? [], ...[...this.#observed].flatMap(read)]
        for (const [value, ...values] of readings) metric.inc(labelled(labels, values), value)
      }
      const configuration = {
        name,
        help,
        labelNames: labels,
        aggregator,
        registers,
        collect: function (this: Summing) { fill(this) }
      }
      // Making one registers it.
      /* eslint-disable no-new */
      if (type === 'counter') new Counter(configuration as unknown as CounterConfiguration<string>)
      else new Gauge(configuration as unknown as GaugeConfiguration<string>)
      /* eslint-enable no-new */
    }
    const timed = { labelNames: ['service', 'phase'], buckets: DURATIONS, registers }
    this.#durations = new Histogram({ ...timed, name: 'git_http_operation_duration_seconds', help: 'From the headers of a request to the end of everything' })
    this.#firstBytes = new Histogram({ ...timed, name: 'git_http_first_byte_seconds', help: 'From the headers of a request to the first byte of its answer' })
  }

  static async open (register: MetricsRegistry): Promise<Metrics> {
    const { default: prom } = await import('prom-client').catch((cause) => {
      throw Object.assign(new InvalidOptionError('metrics', 'needs the package prom-client'), { cause })
    })
    return new Metrics(prom as never, register)
  }

  /** Adds the figures of a registration; the function that is returned takes away what it does now, and leaves what it did. */
  watch (observed: Observed): () => void {
    this.#observed.add(observed)
    return () => {
      if (!this.#observed.delete(observed)) return
      for (const { type, name, read } of figures) if (type === 'counter') this.#past.set(name, add(this.#past.get(name) ?? [], read(observed)))
    }
  }

  /** An operation has ended. */
  observe ({ operation, durations: { total, answered } }: OperationSummary): void {
    // Names of repositories and users would make a series each.
    const labels = { service: operation?.service ?? 'unknown', phase: operation?.phase ?? 'unknown' }
    this.#durations.observe(labels, total / 1000)
    if (answered !== null) this.#firstBytes.observe(labels, answered / 1000)
  }
}

function add (past: Reading[], readings: Reading[]): Reading[] {
  const sums = new Map(past.map((reading) => [reading.slice(1).join(' '), reading]))
  for (const [value, ...values] of readings) sums.set(values.join(' '), [(sums.get(values.join(' '))?.[0] ?? 0) + value, ...values])
  return [...sums.values()]
}

function labelled (names: Figure['labels'], values: string[]): object {
  return Object.fromEntries(names.map((name, i) => [name, values[i] as string]))
}
