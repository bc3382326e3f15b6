import { readdirSync, lstatSync, type Dirent } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextIteration } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import type { GitDirectory, Trail } from './git-directory.ts'
import { Remembered } from './remembered.ts'
import { Witness } from './witness.ts'

/** What the refs of a repository were at some time; a new object as soon as any file behind them changed. */
export interface RefsState {
  /** False when the files do not tell everything (symlinks, symbolic refs out of refs/, too many): only git knows then. */
  provable: boolean
  /** Borrows objects from another repository. */
  alternates: boolean
}

export type ReadRefs = (repository: GitDirectory) => Promise<RefsState>

/** Loose refs and their folders of one repository that are looked at on every request. */
const MAX_FILES = 50_000
/** Loose refs and folders that are remembered in all. */
const MAX_REMEMBERED = 500_000
/** Folders read before the event loop gets a turn. */
const BATCH = 16

/**
 * Builds the reader of a repository's refs state: a look at HEAD, packed-refs, every folder and file below refs/, and
 * what else an advertisement depends on. It costs by the number of loose refs, not of packed ones.
 */
export function createReadRefs (): ReadRefs {
  const remembered = new LRUCache<string, { state: Remembered<RefsState>, size: number }>({ maxSize: MAX_REMEMBERED, sizeCalculation: ({ size }) => size })

  return async (repository) => {
    const known = remembered.get(repository.directory)
    if (known !== undefined) return await known.state.current()
    const state = new Remembered<RefsState>(async (previous) => {
      const { trail, plain } = await walk(repository)
      const witness = await Witness.take(trail, previous)
      // Weighed anew: it may have grown.
      remembered.set(repository.directory, { state, size: witness.size })
      const provable = plain && symbolicRefsStayInside(trail, witness)
      return { value: { provable, alternates: witness.has(join(repository.common, 'objects/info/alternates')) }, witness: provable ? witness : null }
    })
    remembered.set(repository.directory, { state, size: 1 })
    return await state.current()
  }
}

async function walk ({ directory, common }: GitDirectory): Promise<{ trail: Trail, plain: boolean }> {
  const trail: Trail = new Map()
  const files = [join(directory, 'HEAD'), ...['packed-refs', 'shallow', 'objects/info/alternates', 'reftable'].map((name) => join(common, name))]
  for (const file of files) trail.set(file, 'content')
  let plain = !isSymlink(files[0] as string)
  const folders = [join(common, 'refs'), ...(directory === common ? [] : [join(directory, 'refs')])]
  for (let i = 0; i < folders.length && plain; i++) {
    const folder = folders[i] as string
    trail.set(folder, 'content')
    for (const entry of entriesOf(folder)) {
      const path = join(folder, entry.name)
      if (entry.isSymbolicLink()) plain = false
      else if (entry.isDirectory()) folders.push(path)
      else trail.set(path, 'content')
    }
    if (trail.size > MAX_FILES) plain = false
    if (i % BATCH === BATCH - 1) await nextIteration()
  }
  return { trail, plain }
}

function entriesOf (folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    // It went away, or a linked worktree has none: its absence is on the trail.
    return []
  }
}

function isSymlink (path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
}

/** A symbolic ref to a file outside refs/ depends on a file that is not on the trail. */
function symbolicRefsStayInside (trail: Trail, witness: Witness): boolean {
  for (const path of trail.keys()) {
    const target = /^ref:\s*(.*)/.exec(witness.contentOf(path))?.[1]
    if (target !== undefined && !target.startsWith('refs/')) return false
  }
  return true
}
