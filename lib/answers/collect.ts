import type { Readable } from 'node:stream'
import { GitFailedError, isOurs } from '../errors.ts'
import { endGit } from '../git/end-process.ts'
import type { GitExit } from '../git/exit.ts'
import type { GitProcess } from '../git/git-process.ts'
import type { Made } from './answer-cache.ts'

/** Largest answer that is held in memory, in bytes; about 400,000 refs. */
const MAX_ANSWER = 32 * 1024 * 1024
/** Longest wait for one, in milliseconds. */
const DEADLINE = 120_000

export interface Collection {
  input: Buffer | null
  /** Goes in front of the answer. */
  prefix: Buffer | null
  /** Nobody wants it any more. */
  signal: AbortSignal
  onFailure: (exit: GitExit) => void
}

/** Runs `git` to its end and takes its whole answer, within bounds. */
export async function collectAnswer (git: GitProcess, { input, prefix, signal, onFailure }: Collection): Promise<Made> {
  const give = (reason: Error): void => {
    git.stdout.destroy(reason)
    endGit(git, { write: false })
  }
  const abandon = (): void => give(isOurs(signal.reason) ? signal.reason : new GitFailedError())
  const timer = setTimeout(() => give(new GitFailedError()), DEADLINE)
  signal.addEventListener('abort', abandon)
  // Of a git whose watcher is gone, the end will never be known.
  git.exited.then(({ error }) => { if (error !== undefined) give(error) })
  git.stdin.end(input ?? undefined)
  try {
    if (signal.aborted) abandon()
    const output = await read(git.stdout)
    if (output === null) {
      await endGit(git, { write: false })
      return { bytes: null, keep: false }
    }
    const exit = await git.exited
    if (exit.error !== undefined) throw exit.error
    if (exit.code !== 0) {
      onFailure(exit)
      throw new GitFailedError()
    }
    // git warns of what it left out, a ref without its object for example; that may be mended at any time.
    return { bytes: prefix === null ? output : Buffer.concat([prefix, output]), keep: exit.stderr === '' }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abandon)
  }
}

/** null when it is too much. */
async function read (stdout: Readable): Promise<Buffer | null> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of stdout as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    length += chunk.length
    if (length > MAX_ANSWER) return null
  }
  return Buffer.concat(chunks)
}
