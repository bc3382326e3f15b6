import { randomUUID } from 'node:crypto'
import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { LRUCache } from 'lru-cache'

const DRAFT = /^\.new-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
/** Milliseconds after which a draft counts as left behind: git, which fills it, is ended after 30 s. */
const QUIET = 3_600_000
/** Folders of which is known when they were looked at. */
const MAX_REMEMBERED = 2_000

/** Where in `folder` a repository is made before it gets its name. */
export function draftIn (folder: string): string {
  return join(folder, `.new-${randomUUID()}`)
}

/**
 * Builds what removes the drafts that a server left in a folder when it was killed; never rejects. A folder is looked at once per `quiet`
 * milliseconds, when a repository is created in it.
 */
export function createDraftSweep (quiet: number = QUIET): (folder: string) => Promise<void> {
  const looked = new LRUCache<string, true>({ max: MAX_REMEMBERED, ttl: Math.max(1, quiet) })
  return async (folder) => {
    if (looked.has(folder)) return
    looked.set(folder, true)
    const names = await readdir(folder).catch(() => [])
    await Promise.all(names.filter((name) => DRAFT.test(name)).map(async (name) => {
      const path = join(folder, name)
      try {
        const stats = await lstat(path)
        if (stats.isDirectory() && stats.mtimeMs < Date.now() - quiet) await rm(path, { recursive: true, force: true })
      } catch {
        // What cannot be looked at cannot be removed; the repository is created all the same.
      }
    }))
  }
}
