import { spawn, type ChildProcess } from 'node:child_process'
import { Writable, type Duplex, type Readable } from 'node:stream'
import { GitUnavailableError } from '../errors.ts'
import { exitOf, lowerPriority, NICENESS, type GitExit } from './exit.ts'

/** A running git, leader of its own process group. */
export interface GitProcess {
  /** Also the id of its process group. */
  pid: number
  stdin: Writable
  stdout: Readable
  /** To and from the hooks that git runs, if {@link StartOptions.hookFolder} asks for it. It ends with git, and needs no 'error' listener. */
  channel?: Duplex | undefined
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
  /**
   * It writes to a repository. Default false. What it says then can be said even when the server has died: a receive-pack that cannot
   * report dies of SIGPIPE and leaves its quarantine behind. It needs helper processes.
   */
  write?: boolean
  /**
   * A folder of this server with hooks that this git runs. They get a two-way channel to the server at descriptor 3. The
   * folder is removed when the server dies without having done so, which needs helper processes.
   */
  hookFolder?: string
}

/**
 * Starts git directly. Resolves when the process runs.
 *
 * @throws GitUnavailableError when it cannot be started: not found, no permission, no descriptors, no processes.
 */
export async function startGit (path: string, args: string[], env: Record<string, string>, { input = true, niceness = NICENESS, hookFolder }: StartOptions = {}): Promise<GitProcess> {
  let child: ChildProcess
  try {
    child = spawn(path, args, { env, cwd: '/', detached: true, stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe', ...(hookFolder === undefined ? [] : ['pipe' as const])] })
    await spawned(child)
  } catch (cause) {
    throw unavailable(cause)
  }
  const { pid, stdout, stdin = null } = child
  if (pid === undefined || stdout === null || (input && stdin === null)) throw unavailable(new Error('no pipes'))
  lowerPriority(pid, niceness)
  // A git that ends early resets its pipe; whoever feeds stdin learns it from the exit.
  stdin?.on('error', () => {})
  const channel = child.stdio[3] as Duplex | undefined
  // A hook may end, or be ended, before it has read its answer.
  channel?.on('error', () => {})
  const exited = exitOf(child)
  exited.then(() => channel?.destroy())
  return {
    pid,
    stdin: stdin ?? noInput(),
    stdout,
    channel,
    exited,
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
