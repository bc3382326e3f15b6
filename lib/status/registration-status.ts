import type { Context } from '../context.ts'
import type { CacheStatus, OperationStatus, StatusSnapshot, StatusSource } from '../web/status-source.ts'
import type { Totals } from './totals.ts'

/** The parts of a registration that have figures. */
export type Observed = Pick<Context, 'operations' | 'answers' | 'packs' | 'admission' | 'starter'> & { totals: Totals }

/** Tells what one registration does. */
export class RegistrationStatus implements StatusSource {
  readonly #observed: Observed
  /** Sums never fall, although bytes that are put back are counted twice for a moment. */
  readonly #told = { bytesIn: 0, bytesOut: 0 }

  constructor (observed: Observed) {
    this.#observed = observed
  }

  snapshot (): StatusSnapshot {
    const { operations, admission, totals } = this.#observed
    const progress = operations.records.map((record) => record.progress)
    let [bytesIn, bytesOut] = [0, 0]
    for (const bytes of [...totals.bytes.values(), ...progress.map((one) => ({ in: one.bytesIn, out: one.bytesOut }))]) {
      bytesIn += bytes.in
      bytesOut += bytes.out
    }
    this.#told.bytesIn = Math.max(this.#told.bytesIn, bytesIn)
    this.#told.bytesOut = Math.max(this.#told.bytesOut, bytesOut)
    const { running, queued } = admission.counters
    return {
      operations: progress.flatMap(({ operation, ...others }): OperationStatus[] => operation === null
        ? []
        : [{ ...others, repository: operation.repository, service: operation.service, user: operation.user }]),
      totals: { operations: totals.operations, failed: totals.failed, ...this.#told },
      caches: this.#caches(),
      git: { running, queued }
    }
  }

  #caches (): CacheStatus[] {
    const { answers, packs } = this.#observed
    const caches: CacheStatus[] = []
    if (answers !== null) caches.push({ name: 'Refs in memory', ...answers.counters, bytes: answers.bytes, maxBytes: answers.maxBytes })
    if (packs !== null) {
      const { hits, shared, misses, stored, limits } = packs.counters
      // In the order in which a fetch asks them.
      caches.push(
        { name: 'Packs in memory', hits: hits.memory, misses: shared + hits.store + misses, bytes: stored.memory, maxBytes: limits.memory },
        { name: 'Packs being made', hits: shared, misses: hits.store + misses, bytes: 0, maxBytes: null },
        { name: 'Packs on disk', hits: hits.store, misses, bytes: stored.directory, maxBytes: limits.directory, ...packs.isShared ? { isShared: true } : {} })
    }
    return caches
  }
}
