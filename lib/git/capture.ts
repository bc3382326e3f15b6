import { finished } from 'node:stream'
import { GitFailedError } from '../errors.ts'
import { endGroup } from './process-group.ts'
import { startGit, type GitProcess, type StartOptions } from './git-process.ts'

/** Longest wait for a small question to git, in milliseconds. */
const TIMEOUT = 30_000

/** A small question has no input, and is as urgent as the server itself: it must not wait behind packs. */
export const QUESTION: StartOptions = { input: false, niceness: 0 }

export interface Captured {
  code: number
  stdout: string
}

/**
 * Asks git a question whose answer is small. `limit` bounds the answer in bytes.
 *
 * @throws GitUnavailableError when git cannot be started; GitFailedError when it was killed, was too slow or said too much.
 */
export async function captureGit (path: string, args: string[], env: Record<string, string>, limit: number): Promise<Captured> {
  return await capture(await startGit(path, args, env, QUESTION), limit)
}

/**
 * Collects what a git says, and waits for its end. Ends it when it says or takes too much.
 *
 * @throws GitFailedError, or GitUnavailableError when nobody knows how it ended.
 */
export function capture (git: GitProcess, limit: number): Promise<Captured> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let left = limit
    let failed = false
    const timer = setTimeout(() => fail(new Error(`no end within ${TIMEOUT} ms`)), TIMEOUT)
    git.stdout.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      left -= chunk.length
      if (left < 0) fail(new Error(`more than ${limit} bytes`))
    })
    const ended = new Promise<void>((resolve) => {
      finished(git.stdout, { writable: false }, (error) => {
        if (error != null) fail(error)
        else resolve()
      })
    })
    // A git that was lost may never end its output.
    git.exited.then((exit) => { if (exit.error !== undefined) fail(exit.error, exit.error) })
    Promise.all([git.exited, ended]).then(([{ code, signal, stderr }]) => {
      if (code === null) return fail(new Error(`ended by ${signal}: ${stderr}`))
      clearTimeout(timer)
      resolve({ code, stdout: Buffer.concat(chunks).toString('utf8') })
    })

    function fail (cause: Error, error: Error = new GitFailedError()): void {
      if (failed) return
      failed = true
      clearTimeout(timer)
      if (error !== cause) error.cause = cause
      git.stdout.destroy()
      endGroup(git.pid).then(() => reject(error))
    }
  })
}
