import { setTimeout as delay } from 'node:timers/promises'
import type { GitProcess } from './git-process.ts'
import { endGroup, groupGone, signalGroup } from './process-group.ts'
import { quarantinesOf, removeQuarantine } from './quarantine.ts'

/**
 * Ending a git whose client left. The steps add up to less than 2 s:
 *
 * 1. close stdin and wait: receive-pack removes its quarantine only when it ends by itself
 *    (tmp-objdir.c does not clean up in a signal handler). Its output is read and dropped meanwhile,
 *    so that a push that is past its pack can finish.
 * 2. SIGTERM to the process group: git's tempfile.c removes locks.
 * 3. SIGKILL to the process group.
 * 4. remove the quarantine that this push left.
 */
const WAIT_FOR_EXIT = 900
/** The same for what a server that has died leaves behind. */
const WAIT_FOR_ORPHANS = 600

/** Ends `git` and all of its process group. Resolves when none is left; never rejects. */
export async function endGit (git: GitProcess, { write }: { write: boolean }): Promise<void> {
  // Ended by itself, and nobody holds its output: what a hook left in the background is the repository's own business.
  if (git.hasExited && git.stdout.readableEnded) return
  git.stdin.destroy()
  if (write) {
    git.stdout.on('error', () => {})
    git.stdout.resume()
    await Promise.race([ended(git), delay(WAIT_FOR_EXIT, undefined, { ref: false })])
  } else {
    git.stdout.destroy()
  }
  const quarantines = write && signalGroup(git.pid, 0) ? await quarantinesOf(new Set([git.pid])) : []
  await endGroup(git.pid)
  git.stdout.destroy()
  await Promise.all(quarantines.map(removeQuarantine))
}

async function ended (git: GitProcess): Promise<void> {
  const { error } = await git.exited
  if (error !== undefined) await groupGone(git.pid, WAIT_FOR_EXIT)
}

/**
 * Ends process groups whose server is gone, and with it the other end of their stdin, in the same steps. `exited` settles once
 * their leaders have ended. Somebody has to read what those that write say.
 */
export async function endOrphans (groups: ReadonlySet<number>, exited: Promise<unknown>): Promise<void> {
  if (groups.size === 0) return
  await Promise.race([exited, delay(WAIT_FOR_ORPHANS)])
  // Stopped, so that none ends before it has told where its quarantine is.
  for (const group of groups) signalGroup(group, 'SIGSTOP')
  const quarantines = await quarantinesOf(groups)
  for (const group of groups) signalGroup(group, 'SIGCONT')
  await Promise.all([...groups].map(endGroup))
  await Promise.all(quarantines.map(removeQuarantine))
}
