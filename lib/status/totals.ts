import type { Service } from '../operation.ts'
import type { OperationSummary, Outcome } from '../summary.ts'

/** `unknown`: refused before it was known. */
export type CountedService = Service | 'unknown'

export interface EndedOperations {
  service: CountedService
  outcome: Outcome
  count: number
}

/** Outcomes that the server, not the client, is to be blamed for. */
const FAILED: readonly Outcome[] = ['timeout', 'git-failed', 'unavailable', 'failed']

/** What operations that have ended add up to. */
export class Totals {
  readonly #ended = new Map<string, EndedOperations>()
  readonly #bytes = new Map<CountedService, { in: number, out: number }>()

  add ({ operation, outcome, bytesIn, bytesOut }: OperationSummary): void {
    const service = operation?.service ?? 'unknown'
    const key = `${service} ${outcome}`
    const ended = this.#ended.get(key) ?? { service, outcome, count: 0 }
    ended.count++
    this.#ended.set(key, ended)
    const bytes = this.#bytes.get(service) ?? { in: 0, out: 0 }
    this.#bytes.set(service, { in: bytes.in + bytesIn, out: bytes.out + bytesOut })
  }

  get ended (): readonly EndedOperations[] {
    return [...this.#ended.values()]
  }

  get bytes (): ReadonlyMap<CountedService, { in: number, out: number }> {
    return this.#bytes
  }

  get operations (): number {
    return this.ended.reduce((sum, { count }) => sum + count, 0)
  }

  get failed (): number {
    return this.ended.reduce((sum, { outcome, count }) => FAILED.includes(outcome) ? sum + count : sum, 0)
  }
}
