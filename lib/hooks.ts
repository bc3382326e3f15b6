import type { Duplex } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { GitOperation, Awaitable } from './operation.ts'
import type { FetchRequest } from './protocol/fetch-request.ts'
import type { PushCommand } from './protocol/push-head.ts'
import type { GitRun } from './push/hook-git.ts'
import type { OperationSummary } from './summary.ts'

/**
 * Functions of the host at fixed points of an operation. Each is awaited, has {@link GitHttpHooks.deadline} milliseconds, and may throw:
 * the message of an error of this package (`errors`) reaches the user; any other error is logged, and the user reads
 * "Internal error" with the id of the request.
 */
export interface GitHttpHooks {
  /**
   * A fetch was understood, and nothing has been looked up or started for it. Called for answers from the cache as well, and for each
   * request of a negotiation. What is not understood is refused. The dumb protocol and `git archive --remote` do not come by here.
   */
  onFetch?: (fetch: GitFetch) => Awaitable<void>
  /** The commands of a push are known; its pack has not been waited for. */
  onPush?: (push: GitPush) => Awaitable<void>
  /**
   * git's own pre-receive: the pushed objects are in a quarantine, checked, and can be read with {@link PreReceive.git}; no ref has
   * moved. In front of the repository's own hook.
   */
  preReceive?: (push: PreReceive) => Awaitable<void>
  /**
   * git's own post-receive: refs have moved. Behind the repository's own hook. Nothing that happens here fails the push, and it is called when
   * the client has left as well. The push waits for it: what takes long belongs into the background.
   */
  postReceive?: (push: PostReceive) => Awaitable<void>
  /** The operation is over and everything that it used is free. Called exactly once for each request, refused ones included. */
  onFinish?: (summary: OperationSummary) => Awaitable<void>
  /**
   * A stage for the bytes that the client sends, unpacked, on their way to git; for POST only. What it changes, git reads changed. When
   * it fails, the operation fails: an error of this package is its status, and of a push nothing is applied, even if the stage
   * fails at its very end. The last bytes therefore wait for that. A push that onPush refuses does not pass it to its end.
   */
  transformRequest?: (operation: GitOperation, request: FastifyRequest) => Duplex | null | undefined
  /** The same for git's answer. Where there is one, answers come from git and not from memory. When it fails behind the first byte, the connection is destroyed. */
  transformResponse?: (operation: GitOperation, request: FastifyRequest) => Duplex | null | undefined
  /** When some refs of a push are rejected, the others may move all the same. Default false: one rejected ref rejects the push. */
  partial?: boolean
  /** Milliseconds for each hook, those of the repository that run between ours included. Default 60,000. */
  deadline?: number
}

/** A fetch, in {@link GitHttpHooks.onFetch}. */
export interface GitFetch extends FetchRequest {
  operation: GitOperation
  /** Fastify's. */
  request: FastifyRequest
  /** Aborted at the deadline and when the client leaves. */
  signal: AbortSignal
  /** Refuses; git prints the reason. The first one counts. */
  reject (reason: string): void
}

/** One ref that a push wants to move. */
export interface GitPushCommand extends PushCommand {
  /** The refs that move: `ref`, or where it leads if it is a symbolic ref, with every step between. */
  touches: string[]
}

/** A push, in {@link GitHttpHooks.onPush}. */
export interface GitPush {
  operation: GitOperation
  /** Fastify's. */
  request: FastifyRequest
  commands: readonly GitPushCommand[]
  /** `git push --push-option`; needs `receive.advertisePushOptions` in the repository's config. */
  options: readonly string[]
  /** Text of the push certificate (`git push --signed`), or null. git checks the signature and tells its own hooks. */
  certificate: string | null
  capabilities: readonly string[]
  /** What the client says it is, such as `git/2.39.5`. */
  agent: string | null
  /**
   * Aborted at the deadline and when the client leaves; in postReceive, which also happens when nobody waits for it any more, at the
   * deadline and when the server shuts down. That a client has left shows only when all has been read that it has sent: in
   * onPush, where a large pack waits, not before the hook has ended.
   */
  signal: AbortSignal
  /** Refuses one ref of the push: `! [remote rejected] main -> main (reason)`. @throws TypeError when the push has no such ref. */
  reject (ref: string, reason: string): void
  /** Refuses all of it. */
  rejectAll (reason: string): void
  /** Prints `remote: text` at the client: at once in preReceive and postReceive, with the answer in onPush. */
  message (text: string): void
}

/** A push, in {@link GitHttpHooks.preReceive}. */
export interface PreReceive extends GitPush {
  /** What git tells its hooks: the quarantine, and the outcome of the certificate's check (githooks(5), git-receive-pack(1)). */
  environment: Record<string, string>
  /**
   * Runs git in the repository with the pushed objects in view, for example `['cat-file', '--batch']` with input. For reading. What comes
   * from the push belongs behind `--end-of-options`. It is ended with the hook.
   */
  git (args: string[], options?: { input?: boolean }): Promise<GitRun>
}

/** A push, in {@link GitHttpHooks.postReceive}: `commands` are those that moved. */
export interface PostReceive extends Omit<PreReceive, 'reject' | 'rejectAll'> {}
