import { execFile } from 'node:child_process'
import { GitFailedError, GitUnavailableError } from '../errors.ts'

/** Longest wait for a small question to git, in milliseconds. */
const TIMEOUT = 30_000

export interface Captured {
  code: number
  stdout: string
}

/**
 * Asks git a question whose answer is small. `limit` bounds the answer in bytes.
 *
 * @throws GitUnavailableError when git cannot be started; GitFailedError when it was killed, was too slow or said too much.
 */
export function captureGit (path: string, args: string[], env: Record<string, string>, limit: number): Promise<Captured> {
  return new Promise((resolve, reject) => {
    try {
      execFile(path, args, { env, cwd: '/', maxBuffer: limit, timeout: TIMEOUT, killSignal: 'SIGKILL' }, (error, stdout) => {
        if (error === null) return resolve({ code: 0, stdout })
        if (typeof error.code === 'number') return resolve({ code: error.code, stdout })
        const failure = error.syscall?.startsWith('spawn') === true ? new GitUnavailableError() : new GitFailedError()
        failure.cause = error
        reject(failure)
      })
    } catch (cause) {
      const failure = new GitUnavailableError()
      failure.cause = cause
      reject(failure)
    }
  })
}
