import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Peer } from './peer.ts'
import { processTree } from './processes.ts'

/** Linux counts in hundredths of a second, whatever the kernel's own tick (USER_HZ). */
const MILLISECONDS_PER_TICK = 10

const groups = new Map<Peer, string>()
let count = 0

/**
 * Puts the peer's processes into a control group, which counts the time of all that they will ever start. fcgiwrap and mod_cgid
 * ignore SIGCHLD, so the kernel adds their children's time to nobody's. Without permission: those two have no figure.
 */
export async function account (peer: Peer): Promise<void> {
  const mount = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1]
  if (mount === undefined) return
  const group = join(mount, `fastify-git-http-bench-${process.pid}-${++count}`)
  try {
    mkdirSync(group)
    groups.set(peer, group)
    for (const { pid } of await processTree(peer.pids)) await writeFile(join(group, 'cgroup.procs'), String(pid))
    await readGroup(group)
  } catch {
    groups.delete(peer)
    if (existsSync(group)) rmdirSync(group)
  }
}

/** Processor time that the peer has used so far, or null where it cannot be seen. */
export async function cpuMilliseconds (peer: Peer): Promise<number | null> {
  const group = groups.get(peer)
  if (group !== undefined) return await readGroup(group)
  if (!peer.countsChildren) return null
  return (await processTree(peer.pids)).reduce((sum, { cpuTicks }) => sum + cpuTicks, 0) * MILLISECONDS_PER_TICK
}

/** When the servers have ended: ends what they left behind, and removes the groups. */
export async function removeGroups (): Promise<void> {
  await Promise.all([...groups.values()].map(removeGroup))
  groups.clear()
}

/** The same for one peer. */
export async function removeGroupOf (peer: Peer): Promise<void> {
  const group = groups.get(peer)
  groups.delete(peer)
  if (group !== undefined) await removeGroup(group)
}

async function removeGroup (group: string): Promise<void> {
  for (let attempt = 1; existsSync(group); attempt++) {
    try {
      for (const pid of readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean)) process.kill(Number(pid), 'SIGKILL')
      rmdirSync(group)
    } catch (error) {
      if (attempt === 40) console.error(`${group} could not be removed: ${(error as Error).message}`)
      if (attempt === 40) return
      await sleep(50)
    }
  }
}

async function readGroup (group: string): Promise<number> {
  const microseconds = /^usage_usec (\d+)$/m.exec(await readFile(join(group, 'cpu.stat'), 'utf8'))?.[1]
  if (microseconds === undefined) throw new Error('no usage_usec')
  return Number(microseconds) / 1000
}
