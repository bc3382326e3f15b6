import { printable } from '../git/environment.ts'
import type { OperationSummary } from '../summary.ts'

/** Milliseconds with this many decimals. */
const PRECISION = 1

/** The fields of the log line at the end of an operation. Fastify's logger adds the request's id as `reqId`. */
export interface LogFields {
  /** As in the URL, or null when it was refused before it was known. */
  repository: string | null
  service: string | null
  /** `advertise`, `exchange` or `file`. */
  phase: string | null
  user: string | null
  /** Of the client, `request.ip`. */
  address: string | null
  /** Version of git's protocol. */
  protocol: number | null
  outcome: OperationSummary['outcome']
  status: number
  code: string | null
  bytesIn: number
  bytesOut: number
  /** Milliseconds from the request's headers: to the end; until it was let in; until the first byte of the answer. */
  duration: number
  admittedAfter: number | null
  answeredAfter: number | null
  cache: OperationSummary['cache']
  exitCode: number | null
  /** How many refs a push moved. */
  refs: number
}

export function logFields ({ operation, durations, refs, ...summary }: OperationSummary, address: string | null): LogFields {
  return {
    repository: operation === null ? null : printable(operation.repository),
    service: operation?.service ?? null,
    phase: operation?.phase ?? null,
    user: operation?.user == null ? null : printable(operation.user),
    address,
    protocol: operation?.protocol ?? null,
    outcome: summary.outcome,
    status: summary.status,
    code: summary.code,
    bytesIn: summary.bytesIn,
    bytesOut: summary.bytesOut,
    duration: round(durations.total),
    admittedAfter: durations.admitted === null ? null : round(durations.admitted),
    answeredAfter: durations.answered === null ? null : round(durations.answered),
    cache: summary.cache,
    exitCode: summary.exitCode,
    refs: refs.length
  }
}

/** What people read. */
export const MESSAGE = 'git operation'

function round (milliseconds: number): number {
  return Number(milliseconds.toFixed(PRECISION))
}
