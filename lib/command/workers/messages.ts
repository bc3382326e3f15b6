import type { StatusSnapshot } from '../../web/status-source.ts'

/** What a process has to say of itself. */
export interface Figures {
  status: StatusSnapshot
  /** `getMetricsAsJSON()`; null without metrics. */
  metrics: object | null
}

/** What a worker tells. */
export type FromWorker =
  | { type: 'ready' }
  /** It cannot serve. */
  | { type: 'failed', message: string, exitCode: 1 | 2 }
  /** Asked for, or, with id 0, its last words. */
  | { type: 'figures', id: number, figures: Figures }
  /** Asks what the others do. */
  | { type: 'others' }

/** What a worker is told. */
export type ToWorker =
  /** Asked for its figures. */
  | { type: 'tell', id: number }
  | { type: 'others', status: StatusSnapshot }
  /** Let nobody in, end when those who are in have left. */
  | { type: 'leave' }
  /** The same, but answer new requests meanwhile. */
  | { type: 'stop', signal: NodeJS.Signals }
