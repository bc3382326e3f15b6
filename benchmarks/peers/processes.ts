import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Peer } from './peer.ts'

interface Entry {
  pid: number
  parent: number
  name: string
  /** Of the process and of its children that have ended and were waited for. */
  cpuTicks: number
}

/** The processes with these ids and all that descend from them. */
export async function processTree (roots: number[]): Promise<Entry[]> {
  const entries = (await Promise.all((await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(readEntry))).filter((entry) => entry !== null)
  const found = entries.filter(({ pid }) => roots.includes(pid))
  for (const member of found) found.push(...entries.filter(({ parent }) => parent === member.pid))
  return found
}

async function readEntry (pid: string): Promise<Entry | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const end = stat.lastIndexOf(')')
  if (end === -1) return null
  // proc_pid_stat(5), from the third field on: state, parent, ...; utime, stime, cutime and cstime are fields 14 to 17.
  const fields = stat.slice(end + 2).split(' ')
  return {
    pid: Number(pid),
    parent: Number(fields[1]),
    name: stat.slice(stat.indexOf('(') + 1, end),
    cpuTicks: fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  }
}

/** Waits until the git processes that a measurement left behind have ended, so that they do not disturb the next one. */
export async function settle (peer: Peer): Promise<void> {
  let quiet = 0
  for (const end = Date.now() + 60_000; quiet < 5; await sleep(40)) {
    const busy = (await processTree(peer.pids)).some(({ name }) => name.startsWith('git'))
    quiet = busy ? 0 : quiet + 1
    if (Date.now() > end) throw new Error(`${peer.name}: git is still running a minute after the measurement`)
  }
}
