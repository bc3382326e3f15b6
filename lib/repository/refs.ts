import { lstatSync, opendirSync, type Dirent } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextIteration } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import type { GitDirectory, Trail } from './git-directory.ts'
import { Remembered } from './remembered.ts'
import { slicer, Witness } from './witness.ts'

/** What the refs of a repository were at some time; a new object as soon as any file behind them changed. */
export interface RefsState {
  /** False when the files do not tell everything (symlinks, symbolic refs out of refs/, too many): only git knows then. */
  provable: boolean
  /** Borrows objects from another repository. */
  alternates: boolean
  /** True when what git reads from now on can be told from what was there before. */
  isQuiet (): boolean
}

export type ReadRefs = (repository: GitDirectory) => Promise<RefsState>

/** Loose refs and their folders of one repository that are looked at on every request. */
const MAX_FILES = 50_000
/** Loose refs and folders that are remembered in all. */
const MAX_REMEMBERED = 500_000
/** Rounds until a walk and its witness agree. */
const MAX_ROUNDS = 3

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
      const { trail, plain, witness } = await look(repository, previous)
      // Weighed anew: it may have grown.
      remembered.set(repository.directory, { state, size: witness.size })
      const provable = plain && symbolicRefsStayInside(trail, witness)
      const alternates = witness.has(join(repository.common, 'objects/info/alternates'))
      return { value: { provable, alternates, isQuiet: () => witness.isQuiet() }, witness: provable ? witness : null }
    })
    remembered.set(repository.directory, { state, size: 1 })
    return await state.current()
  }
}

interface Walk {
  trail: Trail
  /** What stood below refs/: the names in a folder, as {@link Witness} keeps them; null for a file. */
  found: Map<string, string | null>
  plain: boolean
}

/** Walks and witnesses, until the witness saw what the walk did: a folder that appeared in between would be on nobody's list. */
async function look (repository: GitDirectory, previous: Witness | undefined): Promise<Walk & { witness: Witness }> {
  for (let round = 1; ; round++) {
    const walked = await walk(repository)
    const witness = await Witness.take(walked.trail, previous)
    const same = [...walked.found].every(([path, names]) => names === null ? !witness.isFolder(path) : names === witness.contentOf(path))
    if (same || !walked.plain || round === MAX_ROUNDS) return { ...walked, plain: walked.plain && same, witness }
  }
}

async function walk ({ directory, common }: GitDirectory): Promise<Walk> {
  const trail: Trail = new Map()
  const files = [join(directory, 'HEAD'), ...['packed-refs', 'shallow', 'objects/info/alternates'].map((name) => join(common, name))]
  for (const file of files) trail.set(file, 'content')
  // A ref whose object is missing is not peeled, until the object arrives.
  for (const folder of ['objects', 'objects/pack']) trail.set(join(common, folder), 'content')
  let plain = !isSymlink(files[0] as string)
  const found = new Map<string, string | null>()
  const folders = [join(common, 'refs'), ...(directory === common ? [] : [join(directory, 'refs')])]
  const pause = slicer()
  for (let i = 0; i < folders.length && plain; i++) {
    const folder = folders[i] as string
    trail.set(folder, 'content')
    const entries = await entriesOf(folder, pause)
    if (entries !== null) found.set(folder, entries.map(({ name }) => name).join('\0'))
    for (const entry of entries ?? []) {
      const path = join(folder, entry.name)
      if (entry.isSymbolicLink()) plain = false
      else if (entry.isDirectory()) folders.push(path)
      else found.set(path, null)
      trail.set(path, 'content')
    }
    if (trail.size > MAX_FILES) plain = false
  }
  return { trail, found, plain }
}

/** null for a folder that went away, or that a linked worktree does not have: its absence is on the trail. */
async function entriesOf (path: string, pause: { due: () => boolean }): Promise<Dirent[] | null> {
  try {
    const folder = opendirSync(path, { bufferSize: 128 })
    const entries: Dirent[] = []
    try {
      for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) {
        entries.push(entry)
        if (pause.due()) await nextIteration()
      }
    } finally {
      folder.closeSync()
    }
    return entries
  } catch {
    return null
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
