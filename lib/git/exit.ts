import type { ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { constants, getPriority, setPriority } from 'node:os'

/** Bytes of stderr that are kept for the log. */
const STDERR_LIMIT = 10_240
/** How long the last words of a git that has ended are waited for, in milliseconds. */
const STDERR_GRACE = 250
/** git runs at a lower priority than the server, so that small answers do not wait behind packs. */
export const NICENESS = 10

/** How a git process ended. */
export interface GitExit {
  code: number | null
  signal: NodeJS.Signals | null
  /** The last {@link STDERR_LIMIT} bytes of stderr; for the log only, it names paths of the server. */
  stderr: string
  /** Nobody knows how it ended, or whether it has: the process that watched it is gone. */
  error?: Error
}

/** Resolves once `child` has ended, with the end of what it wrote to stderr; never rejects. */
export function exitOf (child: ChildProcess): Promise<GitExit> {
  const { stderr } = child
  let kept = Buffer.alloc(0)
  stderr?.on('data', (chunk: Buffer) => {
    kept = Buffer.concat([kept, chunk])
    if (kept.length > STDERR_LIMIT) kept = kept.subarray(-STDERR_LIMIT)
  })
  stderr?.on('error', () => {})
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      const settle = (): void => {
        clearTimeout(timer)
        stderr?.destroy()
        resolve({ code, signal, stderr: kept.toString('utf8') })
      }
      // A background process of a hook may keep stderr open for ever: what has arrived by then is enough.
      const timer = setTimeout(settle, STDERR_GRACE)
      if (stderr == null || stderr.readableEnded) settle()
      else stderr.once('close', settle)
    })
  })
}

/** Lowers the priority of a process that was just started, relative to this process's. */
export function lowerPriority (pid: number, niceness: number): void {
  if (niceness === 0) return
  try {
    // A process group of its own is a session of its own, and Linux may weigh sessions against each other before it
    // looks at the processes inside (sched(7), "The autogroup feature"): then only this counts. Not permitted more than ten
    // times a second without CAP_SYS_ADMIN.
    if (process.platform === 'linux') writeFileSync(`/proc/${pid}/autogroup`, String(niceness))
  } catch {}
  try {
    setPriority(pid, Math.min(getPriority() + niceness, constants.priority.PRIORITY_LOW))
  } catch {
    // It has ended already, or the system does not let us: only speed is at stake.
  }
}
