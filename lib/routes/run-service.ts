import { pipeline, type Duplex, type Readable, type Transform } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { Asker } from '../answers/discovery.ts'
import { startInTurn, type Context } from '../context.ts'
import { IdleTimeoutError, isOurs, MalformedRequestError } from '../errors.ts'
import { endGit } from '../git/end-process.ts'
import { feed } from '../git/feed.ts'
import type { GitExit } from '../git/exit.ts'
import type { GitProcess } from '../git/git-process.ts'
import { ServiceAnswer } from '../git/service-answer.ts'
import type { ByteLimit } from '../limits/byte-limit.ts'
import { IdleTimer } from '../limits/idle.ts'
import type { Operation } from '../limits/operations.ts'
import { complaintOf } from '../protocol/complaint.ts'
import type { HookPoint } from '../push/hook-point.ts'
import type { Admitted } from './admit.ts'
import { discardBody } from './open-body.ts'

/** Bytes of a push that git wanted no more of which are read, so that its sender reads why. */
export const MAX_UNWANTED: number = 2 * 1024 ** 3

/** One run of git for one request. */
export interface Run {
  operation: Operation
  admitted: Admitted
  /** git's subcommand and its arguments. */
  args: string[]
  /** What its environment has where the request's says nothing. */
  env?: Readonly<Record<string, string>>
  /** What git reads, or null when there is nothing. */
  body: Readable | null
  /** What git reads in front of it. */
  head?: Buffer
  /** Bounds the body. */
  limit?: ByteLimit | null
  /** The body's chunks belong to nobody else. Default true. */
  owned?: boolean
  /** Goes out before git's first byte. */
  prefix: Buffer | null
  /** An exit code besides 0 that means "nothing to say" when there is no output. */
  emptyExit?: number
  /** Says in git's protocol why git refused what was asked for. */
  explain?: (reason: string) => Buffer
  /** What git's hooks are asked through. */
  point?: HookPoint | null
  /** Hears all that git writes, also when the client has left. */
  onOutput?: (chunk: Buffer) => void
  /** What the answer goes through. */
  stages?: Transform[]
  /** The host's stage behind them. By default, transformResponse is asked for it. */
  transform?: Duplex | null
}

/**
 * Runs git between the request's body and the reply. Resolves with the answer once git has written its first
 * byte or has ended well, so that headers can still tell a failure; the caller sends it. The operation owns the
 * process: when the reply closes, whatever is left of the process group is ended.
 *
 * @throws BusyError, GitUnavailableError, GitFailedError, BadEncodingError, IdleTimeoutError
 */
export async function runService (context: Context, request: FastifyRequest, run: Run): Promise<Readable> {
  const { admitted: { environment, operation: { access } }, operation, point = null } = run
  const write = access === 'write'
  const git = await startGit(context, request, run, { ...run.env, ...environment, ...point?.env }, write)
  point?.attach(git)
  const idle = new IdleTimer(context.options.limits.idleTimeout, () => answer.destroy(new IdleTimeoutError()))
  const answer = new ServiceAnswer(git, { prefix: run.prefix, emptyExit: run.emptyExit ?? 0, onProgress: idle.touch, explain: run.explain })
  if (run.onOutput !== undefined) git.stdout.on('data', run.onOutput)
  // Whoever waits for the answer hears of an error; without this one, an error after the client left would be nobody's.
  answer.on('error', (error) => operation.record.fail(error))

  let ending: Promise<unknown> | undefined
  const end = async (reason: Error): Promise<void> => {
    idle.stop()
    // A client that left is no error to log.
    answer.destroy(isOurs(reason) ? reason : undefined)
    if (isOurs(reason)) point?.abandon()
    await (ending ??= Promise.all([endGit(git, { write }), point?.close()]))
  }
  git.exited.then((exit) => {
    operation.record.exitCode = exit.code
    if (run.explain !== undefined && complaintOf(exit) !== null) operation.record.refuse()
    if (exit.code !== run.emptyExit && ending === undefined) logExit(request, run.admitted, exit)
  })

  const { body } = run
  if (run.head !== undefined) git.stdin.write(run.head)
  if (body === null) git.stdin.end()
  else {
    feed(body, git.stdin, { onProgress: idle.touch, owned: run.owned ?? true, limit: run.limit ?? null })
      .catch((error) => answer.destroy(isOurs(error) ? error : new MalformedRequestError('the body broke off')))
      .then(() => discardBody(request, write ? MAX_UNWANTED : undefined))
  }
  operation.own(end)
  await answer.started()
  operation.record.answer()
  const stages = stagesOf(context, request, run)
  const sent = stages.length === 0 ? answer : pipeline([answer, ...stages], () => {}) as unknown as Readable
  for (const stage of stages) operation.keep(stage)
  operation.record.countOut(sent)
  return sent
}

async function startGit (context: Context, request: FastifyRequest, { admitted, args, body, operation, point }: Run, env: Record<string, string>, write: boolean): Promise<GitProcess> {
  operation.record.isWaiting = true
  try {
    const asker = { user: admitted.operation.user, address: request.ip, left: operation.over }
    return await startInTurn(context, admitted.repository, asker, args, env, { write, input: body !== null, hookFolder: point?.hookFolder })
  } catch (error) {
    await point?.close()
    throw error
  } finally {
    operation.record.isWaiting = false
  }
}

/** What the answer goes through, the host's own stage last. */
function stagesOf ({ options: { hooks } }: Context, request: FastifyRequest, { admitted: { operation }, stages = [], transform }: Run): Duplex[] {
  const own = transform === undefined && operation.phase === 'exchange' ? hooks.transformResponse?.(operation, request) : transform
  return own == null ? stages : [...stages, own]
}

/** Logs how a git ended, unless it ended well. */
export function logExit (request: FastifyRequest, { operation: { repository, service } }: Admitted, exit: GitExit): void {
  const { code, signal, stderr, error } = exit
  const refused = complaintOf(exit)
  if (refused !== null) return request.log.info({ repository, service, exitCode: code, reason: refused }, 'git refused the request')
  // What is not known is no fault of git; whoever waits for the answer gets the error.
  if (code !== 0 && error === undefined) request.log.warn({ repository, service, exitCode: code, signal, stderr }, 'git ended with an error')
}

/** Who asks for a remembered answer. */
export function askerOf (operation: Operation, request: FastifyRequest, admitted: Admitted): Asker {
  return { user: admitted.operation.user, address: request.ip, get left () { return operation.over }, onFailure: (exit) => logExit(request, admitted, exit) }
}
