import { spawn, type ChildProcess } from 'node:child_process'
import { setPriority } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import { GitUnavailableError } from '../errors.ts'

/** Bytes of stderr that are kept for the log. */
const STDERR_LIMIT = 10_240
/** How long the last words of a git that failed are waited for, in milliseconds. */
const STDERR_GRACE = 250
/** git runs at a lower priority than the server, so that small answers do not wait behind packs. */
const NICENESS = 5

/** How a git process ended. */
export interface GitExit {
  code: number | null
  signal: NodeJS.Signals | null
  /** The last {@link STDERR_LIMIT} bytes of stderr; for the log only, it names paths of the server. */
  stderr: string
}

/** A running git, leader of its own process group. */
export interface GitProcess {
  /** Also the id of its process group. */
  pid: number
  stdin: Writable
  stdout: Readable
  /** Settles once the process has ended; never rejects. stdout may still hold bytes. */
  exited: Promise<GitExit>
  /** True once the process itself has ended. */
  readonly hasExited: boolean
}

/**
 * Starts git directly. Resolves when the process runs.
 *
 * @throws GitUnavailableError when it cannot be started: not found, no permission, no descriptors, no processes.
 */
export async function startGit (path: string, args: string[], env: Record<string, string>): Promise<GitProcess> {
  let child: ChildProcess
  try {
    child = spawn(path, args, { env, cwd: '/', detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
    await spawned(child)
  } catch (cause) {
    throw unavailable(cause)
  }
  const { pid, stdin, stdout, stderr } = child
  if (pid === undefined || stdin === null || stdout === null || stderr === null) throw unavailable(new Error('no pipes'))
  lowerPriority(pid)
  // A git that ends early resets its pipe; whoever feeds stdin learns it from the exit.
  stdin.on('error', () => {})
  return {
    pid,
    stdin,
    stdout,
    exited: exitOf(child, stderr),
    get hasExited () { return child.exitCode !== null || child.signalCode !== null }
  }
}

function spawned (child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
}

function unavailable (cause: unknown): Error {
  const error = new GitUnavailableError()
  error.cause = cause
  return error
}

function lowerPriority (pid: number): void {
  try {
    setPriority(pid, NICENESS)
  } catch {
    // It has ended already, or the system does not let us: only speed is at stake.
  }
}

function exitOf (child: ChildProcess, stderr: Readable): Promise<GitExit> {
  let kept = Buffer.alloc(0)
  stderr.on('data', (chunk: Buffer) => {
    kept = Buffer.concat([kept, chunk])
    if (kept.length > STDERR_LIMIT) kept = kept.subarray(-STDERR_LIMIT)
  })
  stderr.on('error', () => {})
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      const settle = (): void => {
        clearTimeout(timer)
        stderr.destroy()
        resolve({ code, signal, stderr: kept.toString('utf8') })
      }
      // A background process of a hook may keep stderr open for ever: what has arrived by then is enough.
      const timer = setTimeout(settle, STDERR_GRACE)
      if (code === 0 || stderr.readableEnded) settle()
      else stderr.once('close', settle)
    })
  })
}
