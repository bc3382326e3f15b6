import { readdir, readFile, rm } from 'node:fs/promises'
import { basename, dirname, sep } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { GitProcess } from './git-process.ts'

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
const WAIT_AFTER_TERM = 500
const WAIT_AFTER_KILL = 300
const POLL = 15

/** Ends `git` and all of its process group. Resolves when none is left; never rejects. */
export async function endGit (git: GitProcess, { write }: { write: boolean }): Promise<void> {
  // Ended by itself, and nobody holds its output: what a hook left in the background is the repository's own business.
  if (git.hasExited && git.stdout.readableEnded) return
  git.stdin.destroy()
  if (write) {
    git.stdout.on('error', () => {})
    git.stdout.resume()
    await Promise.race([git.exited, delay(WAIT_FOR_EXIT, undefined, { ref: false })])
  } else {
    git.stdout.destroy()
  }
  const quarantines = write && groupExists(git.pid) ? await quarantinesOf(git.pid) : []
  await endGroup(git.pid)
  git.stdout.destroy()
  await Promise.all(quarantines.map(removeQuarantine))
}

/** Ends whatever is left of a process group whose leader may have ended already. */
export async function endGroup (group: number): Promise<void> {
  if (!signalGroup(group, 'SIGTERM')) return
  if (await groupGone(group, WAIT_AFTER_TERM)) return
  signalGroup(group, 'SIGKILL')
  await groupGone(group, WAIT_AFTER_KILL)
}

async function groupGone (group: number, milliseconds: number): Promise<boolean> {
  for (let waited = 0; waited < milliseconds; waited += POLL) {
    if (!groupExists(group)) return true
    await delay(POLL)
  }
  return !groupExists(group)
}

function groupExists (group: number): boolean {
  return signalGroup(group, 0)
}

function signalGroup (group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-group, signal)
    return true
  } catch {
    return false
  }
}

/**
 * Quarantine directories of the processes in a group, from GIT_QUARANTINE_PATH in their
 * environment (builtin/receive-pack.c sets it for what it starts). Only Linux tells; elsewhere git's own
 * `git gc --prune` removes what a killed push left.
 */
async function quarantinesOf (group: number): Promise<string[]> {
  const found = new Set<string>()
  const processes = await readdir('/proc').catch(() => [])
  await Promise.all(processes.filter((name) => /^\d+$/.test(name)).map(async (pid) => {
    try {
      const stat = await readFile(`/proc/${pid}/stat`, 'latin1')
      // pid (comm) state ppid pgrp: comm may hold anything, so count from its last bracket.
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]) !== group) return
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8')
      const entry = environment.split('\0').find((line) => line.startsWith('GIT_QUARANTINE_PATH='))
      if (entry !== undefined) found.add(entry.slice(entry.indexOf('=') + 1))
    } catch {
      // It ended meanwhile.
    }
  }))
  return [...found]
}

async function removeQuarantine (path: string): Promise<void> {
  // The name comes from another process's environment: remove nothing that is not a quarantine.
  if (!/^(?:tmp_objdir-)?incoming-/.test(basename(path))) return
  if (!dirname(path).endsWith(`${sep}objects`)) return
  await rm(path, { recursive: true, force: true }).catch(() => {})
}
