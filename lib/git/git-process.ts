import { spawn, type ChildProcess } from 'node:child_process'
import { Writable, type Readable } from 'node:stream'
import { GitUnavailableError } from '../errors.ts'
import { exitOf, lowerPriority, NICENESS, type GitExit } from './exit.ts'

/** A running git, leader of its own process group. */
export interface GitProcess {
  /** Also the id of its process group. */
  pid: number
  stdin: Writable
  stdout: Readable
  /** Settles once the process has ended; never rejects. stdout may still hold bytes. */
  exited: Promise<GitExit>
  /** True once the process itself is known to have ended. */
  readonly hasExited: boolean
}

export interface StartOptions {
  /** git is given something to read. Otherwise its stdin is empty, which costs less. Default true. */
  input?: boolean
  /** How much lower its priority is than the server's, as nice(1) counts. Default {@link NICENESS}. */
  niceness?: number
}

/**
 * Starts git directly. Resolves when the process runs.
 *
 * @throws GitUnavailableError when it cannot be started: not found, no permission, no descriptors, no processes.
 */
export async function startGit (path: string, args: string[], env: Record<string, string>, { input = true, niceness = NICENESS }: StartOptions = {}): Promise<GitProcess> {
  let child: ChildProcess
  try {
    child = spawn(path, args, { env, cwd: '/', detached: true, stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe'] })
    await spawned(child)
  } catch (cause) {
    throw unavailable(cause)
  }
  const { pid, stdout, stdin = null } = child
  if (pid === undefined || stdout === null || (input && stdin === null)) throw unavailable(new Error('no pipes'))
  lowerPriority(pid, niceness)
  // A git that ends early resets its pipe; whoever feeds stdin learns it from the exit.
  stdin?.on('error', () => {})
  return {
    pid,
    stdin: stdin ?? noInput(),
    stdout,
    exited: exitOf(child),
    get hasExited () { return child.exitCode !== null || child.signalCode !== null }
  }
}

/** Stands for the stdin of a git that was started without one. */
export function noInput (): Writable {
  return new Writable({ write: (_chunk, _encoding, callback) => callback() })
}

/** A {@link GitUnavailableError} with its cause, which is for the log. */
export function unavailable (cause: unknown): Error {
  const error = new GitUnavailableError()
  error.cause = cause
  return error
}

function spawned (child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
}
