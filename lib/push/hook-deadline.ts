import { setTimeout as delay } from 'node:timers/promises'
import { endGroup, processTable } from '../git/process-group.ts'

/** Milliseconds that a hook has after SIGTERM, and between two looks. */
const [WAIT_AFTER_TERM, POLL] = [500, 20]

/**
 * Ends a hook of a repository, and all that it has started in git's process group, but neither git nor the shim that waits
 * for the hook: git then says that the hook declined, and removes its quarantine. Where the system does not tell who started
 * whom, the whole group is ended. Resolves when nothing is left; never rejects.
 */
export async function endHook (group: number, shim: number): Promise<void> {
  const kill = performance.now() + WAIT_AFTER_TERM
  const told = new Set<number>()
  for (;;) {
    const hook = await processesOf(group, shim)
    if (hook === null) return await endGroup(group)
    if (hook.length === 0) return
    const late = performance.now() > kill
    for (const pid of hook) {
      if (late || !told.has(pid)) signal(pid, late ? 'SIGKILL' : 'SIGTERM')
      told.add(pid)
    }
    await delay(POLL)
  }
}

/** Those of the group that come from the shim, or have lost their parent. What comes from git by another way is git, or already its next hook. */
async function processesOf (group: number, shim: number): Promise<number[] | null> {
  const table = await processTable()
  if (table === null) return null
  const isGits = (pid: number): boolean => {
    for (let at: number | undefined = pid; at !== undefined; at = table.get(at)?.parent) {
      if (at === shim) return pid === shim
      if (at === group) return true
    }
    return false
  }
  return [...table].flatMap(([pid, entry]) => entry.group === group && !isGits(pid) ? [pid] : [])
}

function signal (pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended meanwhile.
  }
}
