import type { Service } from '../operation.ts'

/** Tells what a server does; implemented by whoever runs it. */
export interface StatusSource {
  /** The figures of this moment. Called about once a second while somebody looks at the status page, so it should cost little. */
  snapshot (): StatusSnapshot
}

export interface StatusSnapshot {
  /** In flight now, in any order. */
  operations: OperationStatus[]
  totals: StatusTotals
  /** One for each thing that is remembered, in the order in which they are shown. */
  caches: CacheStatus[]
  git: {
    /** Processes that run now. */
    running: number
    /** Operations that wait for one. */
    queued: number
  }
}

export interface OperationStatus {
  /** Unique among the operations of this server; shown. */
  id: string
  /** As {@link GitOperation.repository} has it. Only those who can read it see the operation. */
  repository: string
  service: Service
  /** The verified user, or null for an anonymous client. Only users who are logged in see it. */
  user: string | null
  /** Milliseconds since 1970. */
  startedAt: number
  /** Bytes of the request's body so far. */
  bytesIn: number
  /** Bytes of the answer so far. */
  bytesOut: number
  /** What it does now, in a word or two: `waiting`, `counting`, `sending`. */
  phase: string
  /** Where the answer comes from: `hit`, `shared`, `miss`; null when that has no meaning. */
  cache: string | null
}

/** Sums since the server started; bytes include those of operations in flight. They never fall. */
export interface StatusTotals {
  /** Operations that have ended. */
  operations: number
  /** Those of them that failed. */
  failed: number
  bytesIn: number
  bytesOut: number
}

export interface CacheStatus {
  /** Shown: `Answers in memory`. */
  name: string
  hits: number
  misses: number
  /** Kept now. */
  bytes: number
  /** At most; null without a bound. */
  maxBytes: number | null
  /** All processes of the machine have the same one, so that its bytes are counted once. Default false. */
  isShared?: boolean
}
