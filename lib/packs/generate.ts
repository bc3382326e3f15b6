import { discoveryEnvironment, type Asker, type Question } from '../answers/discovery.ts'
import { startFor, type Context } from '../context.ts'
import { GitFailedError, IdleTimeoutError, isOurs } from '../errors.ts'
import { endGit } from '../git/end-process.ts'
import { ServiceAnswer } from '../git/service-answer.ts'
import { IdleTimer } from '../limits/idle.ts'

/** http-backend.c, service_rpc(). `--strict` keeps upload-pack from looking for a repository below the one that was authorized. */
export function uploadPackArguments (directory: string): string[] {
  return ['upload-pack', '--strict', '--stateless-rpc', directory]
}

/**
 * Starts git for a fetch that several clients may share. Nothing of the one who happens to be first is in git's environment.
 *
 * @throws GitUnavailableError, GitFailedError, IdleTimeoutError
 */
export async function generatePack (context: Context, question: Question, input: Buffer, asker: Asker, signal: AbortSignal): Promise<ServiceAnswer> {
  const git = await startFor(context, question.repository, uploadPackArguments(question.repository.directory), discoveryEnvironment(question))
  const idle = new IdleTimer(context.options.limits.idleTimeout, () => answer.destroy(new IdleTimeoutError()))
  const answer = new ServiceAnswer(git, { prefix: null, emptyExit: 0, onProgress: idle.touch })
  const end = (): void => {
    answer.destroy(isOurs(signal.reason) ? signal.reason : new GitFailedError())
  }
  answer.on('error', () => {})
  answer.once('close', () => {
    idle.stop()
    signal.removeEventListener('abort', end)
    endGit(git, { write: false })
  })
  git.exited.then((exit) => { if (!signal.aborted) asker.onFailure(exit) })
  signal.addEventListener('abort', end)
  if (signal.aborted) end()
  git.stdin.end(input)
  return answer
}
