import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { LRUCache } from 'lru-cache'
import type { GitDirectory } from '../repository/git-directory.ts'
import { processTable } from './process-group.ts'
import { removeQuarantine } from './quarantine.ts'

/** Milliseconds without a change after which a quarantine counts as left behind. */
const QUIET = 3_600_000
/** Repositories of which is known when they were looked at. */
const MAX_REMEMBERED = 2_000

/** Removes what pushes have left in a repository whose processes are gone; never rejects. */
export type Sweep = (repository: GitDirectory) => Promise<void>

/**
 * Builds the sweep. A server, its helpers and its gits that end at the same moment (kill -9, a power cut) leave the quarantine of every
 * push that was under way, with as much of its pack as had come. Nobody but `git gc` would look at it again, two weeks later.
 *
 * A quarantine may belong to somebody else's push, over ssh or from another machine. So it is left alone until nothing in it
 * has changed for `quiet` milliseconds, and while any process of this machine works in the repository: receive-pack does, and
 * its children say so. Only Linux tells; elsewhere nothing is removed. A repository is looked at once per `quiet`, when a push begins.
 */
export function createSweep (quiet: number = QUIET): Sweep {
  const looked = new LRUCache<string, true>({ max: MAX_REMEMBERED, ttl: Math.max(1, quiet) })
  return async ({ common, directory }) => {
    if (looked.has(common)) return
    looked.set(common, true)
    try {
      const left = await leftBehind(join(common, 'objects'), Date.now() - quiet)
      if (left.length === 0 || await isInUse([common, directory])) return
      await Promise.all(left.map(removeQuarantine))
    } catch {
      // The push goes on; what cannot be looked at cannot be removed.
    }
  }
}

/** tmp-objdir.c, tmp_objdir_create; before git 2.35 without `tmp_objdir-`. */
async function leftBehind (objects: string, before: number): Promise<string[]> {
  const names = (await readdir(objects)).filter((name) => /^(?:tmp_objdir-)?incoming-/.test(name))
  const paths = names.map((name) => join(objects, name))
  const changed = await Promise.all(paths.map(lastChange))
  return paths.filter((_, i) => (changed[i] as number) < before)
}

async function lastChange (folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true })
  const times = await Promise.all(['', ...names].map(async (name) => (await stat(join(folder, name))).mtimeMs))
  return Math.max(...times)
}

/** True as well where nobody can tell. */
async function isInUse (folders: string[]): Promise<boolean> {
  const table = await processTable()
  if (table === null) return true
  const uses = await Promise.all([...table.keys()].map(async (pid) => {
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '')
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
    return folders.some((folder) => cwd === folder || cwd.startsWith(`${folder}/`) || environment.includes(`GIT_QUARANTINE_PATH=${folder}/`))
  }))
  return uses.includes(true)
}
