import { mergeSnapshots } from '../../status/merge.ts'
import type { StatusSnapshot } from '../../web/status-source.ts'
import { loadPromClient } from '../metrics.ts'
import type { Figures } from './messages.ts'

interface Metric { type: string }

/** The sums of workers that have ended, so that sums do not fall when one is replaced. */
export class Past {
  status: StatusSnapshot = mergeSnapshots([])
  metrics: Metric[] | null = null
  #turn: Promise<unknown> = Promise.resolve()

  /** Adds the last that is known of a worker. */
  async add (last: Figures): Promise<void> {
    this.status = mergeSnapshots([this.status, sums(last.status)])
    if (last.metrics === null) return
    const counted = (last.metrics as Metric[]).filter(({ type }) => type === 'counter' || type === 'histogram')
    this.#turn = this.#turn.then(async () => {
      const { AggregatorRegistry } = await loadPromClient()
      const all = AggregatorRegistry.aggregate([...this.metrics === null ? [] : [this.metrics], counted])
      this.metrics = await all.getMetricsAsJSON() as unknown as Metric[]
    })
    await this.#turn
  }
}

/** What stays when nothing runs any more. */
function sums ({ totals, caches }: StatusSnapshot): StatusSnapshot {
  return {
    operations: [],
    totals,
    caches: caches.map((cache) => ({ ...cache, bytes: 0, maxBytes: cache.maxBytes === null ? null : 0 })),
    git: { running: 0, queued: 0 }
  }
}
