import type { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { Asker } from '../answers/discovery.ts'
import { startFor, type Context } from '../context.ts'
import { IdleTimeoutError, isOurs } from '../errors.ts'
import { endGit } from '../git/end-process.ts'
import { feed } from '../git/feed.ts'
import type { GitExit } from '../git/exit.ts'
import { ServiceAnswer } from '../git/service-answer.ts'
import { drain } from '../limits/drain.ts'
import { IdleTimer } from '../limits/idle.ts'
import type { Operation } from '../limits/operations.ts'
import type { Admitted } from './admit.ts'

/** One run of git for one request. */
export interface Run {
  operation: Operation
  admitted: Admitted
  /** git's subcommand and its arguments. */
  args: string[]
  /** The request's body, or null when there is none. */
  body: Readable | null
  gzip: boolean
  /** Goes out before git's first byte. */
  prefix: Buffer | null
  /** An exit code besides 0 that means "nothing to say" when there is no output. */
  emptyExit?: number
}

/**
 * Runs git between the request's body and the reply. Resolves with the answer once git has written its first
 * byte or has ended well, so that headers can still tell a failure; the caller sends it. The operation owns the
 * process: when the reply closes, whatever is left of the process group is ended.
 *
 * @throws GitUnavailableError, GitFailedError, BadEncodingError, IdleTimeoutError
 */
export async function runService (context: Context, request: FastifyRequest, run: Run): Promise<ServiceAnswer> {
  const { repository, environment, operation: { access } } = run.admitted
  const write = access === 'write'
  const git = await startFor(context, repository, run.args, environment, { write, input: run.body !== null })
  const idle = new IdleTimer(context.options.limits.idleTimeout, () => answer.destroy(new IdleTimeoutError()))
  const answer = new ServiceAnswer(git, { prefix: run.prefix, emptyExit: run.emptyExit ?? 0, onProgress: idle.touch })
  // Whoever waits for the answer hears of an error; without this one, an error after the client left would be nobody's.
  answer.on('error', () => {})

  let ending: Promise<void> | undefined
  const end = async (reason: Error): Promise<void> => {
    idle.stop()
    // A client that left is no error to log.
    answer.destroy(isOurs(reason) ? reason : undefined)
    await (ending ??= endGit(git, { write }))
  }
  git.exited.then((exit) => {
    if (exit.code !== run.emptyExit && ending === undefined) logExit(request, run.admitted, exit)
  })

  const { body } = run
  if (body === null) git.stdin.end()
  else feed(body, run.gzip, git.stdin, idle.touch).then(() => drain(body), (error) => answer.destroy(error))
  run.operation.own(end)
  await answer.started()
  return answer
}

/** Logs how a git ended, unless it ended well. */
export function logExit (request: FastifyRequest, { operation: { repository, service } }: Admitted, { code, signal, stderr, error }: GitExit): void {
  // What is not known is no fault of git; whoever waits for the answer gets the error.
  if (code !== 0 && error === undefined) request.log.warn({ repository, service, exitCode: code, signal, stderr }, 'git ended with an error')
}

/** Who asks for a remembered answer. */
export function askerOf (operation: Operation, request: FastifyRequest, admitted: Admitted): Asker {
  return { get left () { return operation.over }, onFailure: (exit) => logExit(request, admitted, exit) }
}
