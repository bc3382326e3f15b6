import type { TransformCallback } from 'node:stream'
import { discoveryEnvironment, type Asker, type Question } from '../answers/discovery.ts'
import { startInTurn, type Context } from '../context.ts'
import { GitFailedError, IdleTimeoutError, isOurs } from '../errors.ts'
import { endGit } from '../git/end-process.ts'
import type { GitProcess } from '../git/git-process.ts'
import { ServiceAnswer } from '../git/service-answer.ts'
import { IdleTimer } from '../limits/idle.ts'
import { complaintOf } from '../protocol/complaint.ts'
import { fetchError } from '../protocol/report-status.ts'
import type { GeneratedAnswer } from './generation.ts'

/** http-backend.c, service_rpc(). `--strict` keeps upload-pack from looking for a repository below the one that was authorized. */
export function uploadPackArguments (directory: string): string[] {
  return ['upload-pack', '--strict', '--stateless-rpc', directory]
}

/**
 * pack-objects asks for memory and gives it back by the piece, and each costs a page fault. With a few MiB of its own, in huge pages
 * where Linux has them for who asks (madvise), it needs less time: 4 % less for a large repository, and 0.1 ms more for a tiny one
 * (measured). What is larger than the threshold grows without being copied. Of the C library of GNU (mallopt(3), tunables of 2.35);
 * others ignore it.
 */
export const UPLOAD_PACK_ENVIRONMENT: Readonly<Record<string, string>> = {
  MALLOC_MMAP_THRESHOLD_: String(2 ** 20),
  MALLOC_TOP_PAD_: String(4 * 2 ** 20),
  MALLOC_TRIM_THRESHOLD_: String(256 * 2 ** 20),
  GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1'
}

/** An answer that knows at its end whether it is the answer to the question for those as well who ask it later. */
class PackAnswer extends ServiceAnswer implements GeneratedAnswer {
  holds: boolean = true
  refused: boolean = false
  readonly owned: boolean = true
  readonly #check: () => Promise<boolean>

  constructor (git: GitProcess, onProgress: () => void, isCurrent: () => Promise<boolean>) {
    super(git, { prefix: null, emptyExit: 0, onProgress, explain: fetchError })
    // An error that git told its client may be mended at any time.
    this.#check = async () => {
      const exit = await git.exited
      this.refused = complaintOf(exit) !== null
      return exit.code === 0 && await isCurrent()
    }
  }

  override _flush (callback: TransformCallback): void {
    super._flush((error, last) => {
      if (error != null) return callback(error)
      this.#check().catch(() => false).then((holds) => {
        this.holds = holds
        callback(null, last)
      })
    })
  }
}

/**
 * Starts git for a fetch that several clients may share. Nothing of the one who happens to be first is in git's environment.
 * `isCurrent` is asked at the end whether everything that the question depends on is as it was: git may have seen a change.
 *
 * @throws BusyError, GitUnavailableError, GitFailedError, IdleTimeoutError
 */
export async function generatePack (context: Context, question: Question, input: Buffer, asker: Asker, isCurrent: () => Promise<boolean>, signal: AbortSignal): Promise<GeneratedAnswer> {
  const git = await startInTurn(context, question.repository, { user: asker.user, address: asker.address, left: signal }, uploadPackArguments(question.repository.directory), { ...discoveryEnvironment(question), ...UPLOAD_PACK_ENVIRONMENT })
  const idle = new IdleTimer(context.options.limits.idleTimeout, () => answer.destroy(new IdleTimeoutError()))
  const answer = new PackAnswer(git, idle.touch, isCurrent)
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
