import { setTimeout as delay } from 'node:timers/promises'

const WAIT_AFTER_TERM = 500
const WAIT_AFTER_KILL = 300
const POLL = 15

/** Ends whatever is left of a process group whose leader may have ended already. */
export async function endGroup (group: number): Promise<void> {
  // git's tempfile.c removes locks.
  if (!signalGroup(group, 'SIGTERM')) return
  if (await groupGone(group, WAIT_AFTER_TERM)) return
  signalGroup(group, 'SIGKILL')
  await groupGone(group, WAIT_AFTER_KILL)
}

/** Waits for the end of a process group; false when it lasts longer. Polls, because only a parent is told. */
export async function groupGone (group: number, milliseconds: number): Promise<boolean> {
  for (let waited = 0; waited < milliseconds; waited += POLL) {
    if (!groupExists(group)) return true
    await delay(POLL)
  }
  return !groupExists(group)
}

export function groupExists (group: number): boolean {
  return signalGroup(group, 0)
}

/** False when nothing of the group is left. */
export function signalGroup (group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-group, signal)
    return true
  } catch {
    return false
  }
}
