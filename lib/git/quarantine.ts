import { readFile, rm } from 'node:fs/promises'
import { basename, dirname, sep } from 'node:path'
import { membersOf } from './process-group.ts'

/**
 * Quarantine directories of the processes in these groups, from GIT_QUARANTINE_PATH in their
 * environment (builtin/receive-pack.c sets it for what it starts). Only Linux tells; elsewhere git's own
 * `git gc --prune` removes what a killed push left.
 */
export async function quarantinesOf (groups: ReadonlySet<number>): Promise<string[]> {
  const found = new Set<string>()
  await Promise.all((await membersOf(groups) ?? []).map(async (pid) => {
    // It may end meanwhile.
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
    const entry = environment.split('\0').find((line) => line.startsWith('GIT_QUARANTINE_PATH='))
    if (entry !== undefined) found.add(entry.slice(entry.indexOf('=') + 1))
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
