import { createHash } from 'node:crypto'
import { linkSync, lstatSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** sockaddr_un holds 104 bytes on macOS, the final NUL included; this much of a hash is unique enough, and fits. */
export const NAME_LENGTH = 24
/** Milliseconds that another process gets to remove the socket of one that died. */
const BURIAL = 30

/** Whether there is a socket, dead or alive. */
export function isTaken (path: string): boolean {
  return identity(path) !== null
}

/** Gives a socket that listens at `unnamed` its name; what is returned takes the name away again. null when another one has it. */
export function takeName (unnamed: string, path: string): (() => void) | null {
  try {
    linkSync(unnamed, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return null
    throw error
  } finally {
    rmSync(unnamed, { force: true })
  }
  const mine = identity(path)
  return () => { if (identity(path) === mine) rmSync(path, { force: true }) }
}

/**
 * Removes a socket that nobody listens to. Others do the same, and the first of them listens there at once: whoever removed by name
 * what was dead a moment ago would remove that one's. So only one may remove a socket, the one who gives it its second name.
 */
export async function buryOnceDead (path: string): Promise<void> {
  const dead = identity(path)
  if (dead === null || !await isDead(path)) return
  const grave = graveOf(path, dead)
  try {
    linkSync(path, grave)
  } catch {
    // Another one is about to remove it.
    return await delay(BURIAL)
  }
  if (identity(grave) === dead) rmSync(path, { force: true })
  rmSync(grave, { force: true })
}

/** The second name of a socket that is about to be removed. */
export function graveOf (path: string, dead: string | null = identity(path)): string {
  return join(dirname(path), createHash('sha256').update(String(dead)).digest('hex').slice(0, NAME_LENGTH))
}

/** Inode numbers are given anew at once, so the time of its making tells a socket from its predecessor; another name changes ctime. */
function identity (path: string): string | null {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return stats === undefined ? null : `${stats.dev} ${stats.ino} ${stats.mtimeNs}`
}

/** Nobody listens. A socket in front of which too many wait refuses others in another way. */
async function isDead (path: string): Promise<boolean> {
  const socket = connect({ path })
  return await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(false)).once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'))
  }).finally(() => socket.destroy())
}
