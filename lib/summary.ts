import type { GitOperation } from './operation.ts'
import type { PushCommand } from './protocol/push-head.ts'

/**
 * How an operation ended.
 *
 * - `completed`: the whole answer went out, and a push moved at least one ref.
 * - `refused`: by authorization, a limit, a hook, git, or because the request was wrong.
 * - `client-gone`: the client left before the end.
 * - `timeout`: nothing moved, or a hook did not end, for too long.
 * - `git-failed`: git ended with an error.
 * - `unavailable`: git could not be started, or the server was busy or closing.
 * - `failed`: anything else; it is in the log.
 */
export type Outcome = 'completed' | 'refused' | 'client-gone' | 'timeout' | 'git-failed' | 'unavailable' | 'failed'

/** What there is to say of an operation once it is over. */
export interface OperationSummary {
  /** Fastify's id of the request. */
  id: string
  /** The operation, or null when it was refused before it was known. */
  operation: GitOperation | null
  outcome: Outcome
  /** The HTTP status; 0 when none was sent. */
  status: number
  /** Code of the error that ended it, if one did. */
  code: string | null
  /** Bytes of the body that came, as they came. */
  bytesIn: number
  /** Bytes of the body that went out, behind `transformResponse`, before compression by the host. */
  bytesOut: number
  /** Milliseconds. */
  durations: {
    /** From the request's headers to the end of everything. */
    total: number
    /** Until it was let in; null when it was not. */
    admitted: number | null
    /** Until the first byte of the answer was there; null when there was none. */
    answered: number | null
  }
  /** Exit code of git; null when none ran for this operation, or a signal ended it. */
  exitCode: number | null
  /** Refs that this push moved, as git reported it, also to a client that had left. */
  refs: readonly PushCommand[]
  /** How a fetch was answered: see `cache.packs`. null for everything else. */
  cache: 'hit' | 'shared' | 'miss' | 'bypass' | null
}
