import { opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { openGitDirectory, real } from './git-directory.ts'
import { repositorySegments } from './path.ts'

/** How deep repositories are looked for below root, in folders. */
const MAX_DEPTH = 16
/** Folders visited, unless the caller says otherwise. */
const LIMIT = 10_000
/** Folders read at once; more would take threads from whoever answers requests meanwhile. */
const AT_ONCE = 4
/** Names in one folder; beyond it is no folder of repositories. */
const MAX_ENTRIES = 20_000

export interface Found {
  /** Names of repositories as a URL says them, the nearest to root first, then by alphabet; root itself is the empty name. */
  names: string[]
  /** False when the search stopped at a limit: there may be more. */
  complete: boolean
}

export interface FindOptions {
  /** How many folders are visited at most. Default 10,000. */
  limit?: number
  /** Ends the search early. */
  signal?: AbortSignal
}

/**
 * Looks for the repositories that are served below `root`: bare ones and working copies. Folders inside a repository,
 * hidden ones, `node_modules` and what cannot be read are passed over, and no symlink is followed,
 * although the server follows those that stay inside root.
 */
export async function findRepositories (root: string, { limit = LIMIT, signal }: FindOptions = {}): Promise<Found> {
  const base = await real(root)
  const names: string[] = []
  let complete = true
  let stopped = false
  let visited = 0
  let level = base === null ? [] : ['']
  for (let depth = 0; level.length > 0; depth++) {
    const next: string[] = []
    const found: string[] = []
    for (let i = 0; i < level.length; i += AT_ONCE) {
      const batch = level.slice(i, Math.min(i + AT_ONCE, i + limit - visited))
      if (batch.length === 0 || signal?.aborted === true) {
        stopped = true
        break
      }
      visited += batch.length
      await Promise.all(batch.map(async (name) => {
        const folder = await look(base as string, name)
        if (folder === 'repository') found.push(name)
        else next.push(...folder.below)
        if (folder !== 'repository' && folder.cut) complete = false
      }))
    }
    names.push(...found.sort())
    if (depth === MAX_DEPTH && next.length > 0) stopped = true
    level = stopped ? [] : next.sort()
  }
  return { names, complete: complete && !stopped }
}

type Look = 'repository' | { below: string[], cut: boolean }

async function look (base: string, name: string): Promise<Look> {
  const path = join(base, name)
  const { folders, marks, cut } = await list(path)
  if (marks.has('.git') && await openGitDirectory(join(path, '.git'), base) !== null) return 'repository'
  if (marks.has('HEAD') && await openGitDirectory(path, base) !== null) return 'repository'
  const below = folders.map((folder) => name === '' ? folder : `${name}/${folder}`)
  return { below: below.filter((folder) => repositorySegments(folder) !== null), cut }
}

/** The folders in a folder, and which of the names that tell a repository are there. */
async function list (path: string): Promise<{ folders: string[], marks: Set<string>, cut: boolean }> {
  const folders: string[] = []
  const marks = new Set<string>()
  let count = 0
  try {
    for await (const entry of await opendir(path, { bufferSize: 256 })) {
      if (++count > MAX_ENTRIES) return { folders, marks, cut: true }
      if (entry.name === '.git' || entry.name === 'HEAD') marks.add(entry.name)
      if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules') folders.push(entry.name)
    }
  } catch {
    // Not ours to read, or gone meanwhile: neither can git.
  }
  return { folders, marks, cut: false }
}
