import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

const WAIT_AFTER_TERM = 500
const WAIT_AFTER_KILL = 300
/** Milliseconds between two looks, at first; doubled up to the second. */
const [FIRST_POLL, LAST_POLL] = [10, 80]

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
  const end = performance.now() + milliseconds
  for (let poll = FIRST_POLL; await groupRuns(group); poll = Math.min(2 * poll, LAST_POLL)) {
    const left = end - performance.now()
    if (left <= 0) return false
    await delay(Math.min(poll, left))
  }
  return true
}

/** Whether anything of the group still runs. What has ended and waits for its parent does not: some containers' first process takes seconds. */
export async function groupRuns (group: number): Promise<boolean> {
  if (!signalGroup(group, 0)) return false
  const members = await membersOf(new Set([group]))
  return members === null || members.length > 0
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

/** The running processes of these groups; null where the system has no /proc to tell. */
export async function membersOf (groups: ReadonlySet<number>): Promise<number[] | null> {
  const table = await processTable()
  return table === null ? null : [...table].flatMap(([pid, { group }]) => groups.has(group) ? [pid] : [])
}

/** Every running process, by its id; null where the system has no /proc to tell. */
export async function processTable (): Promise<Map<number, { parent: number, group: number }> | null> {
  const names = await readdir('/proc').catch(() => null)
  if (names === null) return null
  const table = new Map<number, { parent: number, group: number }>()
  await Promise.all(names.map(async (name) => {
    if (!/^\d+$/.test(name)) return
    const stat = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '')
    // pid (comm) state ppid pgrp: comm may hold anything, so count from its last bracket.
    const [state = '', parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (!'ZX'.includes(state)) table.set(Number(name), { parent: Number(parent), group: Number(group) })
  }))
  return table
}
