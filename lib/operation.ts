import type { FastifyRequest } from 'fastify'

/** A git service by its name without `git-`; `dumb` stands for plain files and the dumb listing. */
export type Service = 'upload-pack' | 'receive-pack' | 'upload-archive' | 'dumb'

/** One request about one repository, as {@link GitHttpOptions.authorize} sees it. */
export interface GitOperation {
  /**
   * The repository's name as the URL says it, with git's own suffix rules applied:
   * `team/app` and `team/app.git` are both `team/app.git` when that is the folder. Empty for root itself.
   */
  repository: string
  /** Absolute real path of the git directory; where a push would create one, the path it would get. */
  directory: string
  service: Service
  /** `advertise`: GET info/refs. `exchange`: POST. `file`: the dumb protocol's files. */
  phase: 'advertise' | 'exchange' | 'file'
  /** `write` for receive-pack, whatever its phase. */
  access: 'read' | 'write'
  /** The verified user, or null for an anonymous client. Never taken from an unchecked header. */
  user: string | null
  /** The wire protocol version that the client asked for by `Git-Protocol`. */
  protocol: 0 | 1 | 2
}

/**
 * What {@link GitHttpOptions.authorize} answers.
 *
 * - `true`: allowed. `{ allow: true, user }`: allowed, and this is who it is.
 * - `false`: 401 with a challenge for an anonymous client, 403 for a known user.
 * - `'hide'`: exactly the answer that a missing repository gets.
 * - `{ allow: false, reason }`: refused with a text that git prints. `status` (default as for `false`) and
 *   `headers` are for answers such as 429 with Retry-After. Without a `status`, a refused POST is
 *   answered in git's own protocol, because git throws the bodies of HTTP errors on POST away.
 */
export type Verdict =
  | boolean
  | 'hide'
  | { allow: true, user: string }
  | { allow: false, reason: string, status?: number, headers?: Record<string, string> }

/** A name and a password as a Basic `Authorization` header carried them. */
export interface Credentials {
  username: string
  password: string
}

export type Awaitable<T> = T | Promise<T>

export type Authenticate = (credentials: Credentials, request: FastifyRequest) => Awaitable<string | null>
export type Authorize = (operation: GitOperation, request: FastifyRequest) => Awaitable<Verdict>
