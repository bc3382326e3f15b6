import type { Readable } from 'node:stream'
import { GitFailedError } from '../errors.ts'
import { endGit } from '../git/end-process.ts'
import type { GitExit } from '../git/exit.ts'
import type { GitProcess } from '../git/git-process.ts'
import type { Made } from './answer-cache.ts'

/** Largest answer that is held in memory, in bytes; about 400,000 refs. */
const MAX_ANSWER = 32 * 1024 * 1024
/** Longest wait for one, in milliseconds. */
const DEADLINE = 120_000

/** Runs `git` to its end and takes its whole answer, within bounds; `prefix` goes in front of it. */
export async function collectAnswer (git: GitProcess, input: Buffer | null, prefix: Buffer | null, onFailure: (exit: GitExit) => void): Promise<Made> {
  git.stdin.end(input ?? undefined)
  const timer = setTimeout(() => { endGit(git, { write: false }) }, DEADLINE)
  try {
    const output = await read(git.stdout)
    if (output === null) {
      await endGit(git, { write: false })
      return { bytes: null, keep: false }
    }
    const exit = await git.exited
    if (exit.code !== 0) {
      onFailure(exit)
      throw new GitFailedError()
    }
    // git warns of what it left out, a ref without its object for example; that may be mended at any time.
    return { bytes: prefix === null ? output : Buffer.concat([prefix, output]), keep: exit.stderr === '' }
  } finally {
    clearTimeout(timer)
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
