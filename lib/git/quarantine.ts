import { readdir, readFile, rm } from 'node:fs/promises'
import { basename, dirname, sep } from 'node:path'

/**
 * Quarantine directories of the processes in these groups, from GIT_QUARANTINE_PATH in their
 * environment (builtin/receive-pack.c sets it for what it starts). Only Linux tells; elsewhere git's own
 * `git gc --prune` removes what a killed push left.
 */
export async function quarantinesOf (groups: ReadonlySet<number>): Promise<string[]> {
  const found = new Set<string>()
  const processes = await readdir('/proc').catch(() => [])
  await Promise.all(processes.filter((name) => /^\d+$/.test(name)).map(async (pid) => {
    try {
      const stat = await readFile(`/proc/${pid}/stat`, 'latin1')
      // pid (comm) state ppid pgrp: comm may hold anything, so count from its last bracket.
      if (!groups.has(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]))) return
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8')
      const entry = environment.split('\0').find((line) => line.startsWith('GIT_QUARANTINE_PATH='))
      if (entry !== undefined) found.add(entry.slice(entry.indexOf('=') + 1))
    } catch {
      // It ended meanwhile.
    }
  }))
  return [...found]
}

/** Removes a directory that {@link quarantinesOf} named; never rejects. */
export async function removeQuarantine (path: string): Promise<void> {
  // The name comes from another process's environment: remove nothing that is not a quarantine.
  if (!/^(?:tmp_objdir-)?incoming-/.test(basename(path))) return
  if (!dirname(path).endsWith(`${sep}objects`)) return
  await rm(path, { recursive: true, force: true }).catch(() => {})
}
