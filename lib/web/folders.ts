import { opendirSync, statSync, type BigIntStats } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextIteration } from 'node:timers/promises'
import { openGitDirectory, real } from '../repository/git-directory.ts'
import { repositorySegments } from '../repository/path.ts'
import { slicer } from '../repository/witness.ts'
import { within } from './within.ts'

/** Milliseconds for which a look at the folders is good. */
const FRESH = 2_000
/** Milliseconds that a page waits for a look; then it shows what was seen so far. */
const PATIENCE = 1_500
/** How deep repositories are looked for below root, in folders. */
const MAX_DEPTH = 16
/** Folders and repositories remembered, about 300 bytes each. */
const MAX_FOLDERS = 200_000
/** A folder that changed less than this before it was read, in milliseconds, may change again without a trace (FAT's clock steps by 2 s). */
const RACY_WINDOW = 2_500

/** A repository below root. */
export interface Entry {
  /** As a URL says it; root itself is the empty name. */
  name: string
  /** What it is found and sorted by. */
  folded: string
  /** Absolute real path of the git directory. */
  directory: string
}

export interface Listing {
  /** Sorted by `folded`, then by name. */
  entries: readonly Entry[]
  /** False while the first look goes on, and where a limit was met: there may be more. */
  complete: boolean
}

interface Folder {
  /** Which folder it is, and for one that holds others, what was in it when it was read. */
  stamp: string | null
  repository: Entry | null
  below: string[]
}

/**
 * The repositories below root. Folders are remembered and only those that changed are read again, so that a look costs a stat
 * for each; nobody gets an answer from a look that is older than {@link FRESH} and {@link PATIENCE} together, unless a look takes
 * longer than that. Repositories are told by the names in their folder here: whoever shows one opens it first.
 */
export class Folders {
  readonly #root: string
  #known = new Map<string, Folder>()
  #listing: Listing = { entries: [], complete: false }
  #looking: Promise<void> | undefined
  #lookedAt = -Infinity
  #seen: Entry[] = []
  #closed = false

  constructor (root: string) {
    this.#root = root
  }

  /** The listing of a moment ago. */
  async current (): Promise<Listing> {
    if (performance.now() - this.#lookedAt < FRESH || this.#closed) return this.#listing
    const first = this.#lookedAt === -Infinity
    this.#looking ??= this.#look().finally(() => { this.#looking = undefined })
    await within(this.#looking, PATIENCE)
    // Nothing older to show: the part that is known already.
    return first && this.#looking !== undefined ? { entries: sorted([...this.#seen]), complete: false } : this.#listing
  }

  /** Ends a look that goes on. */
  close (): void {
    this.#closed = true
  }

  async #look (): Promise<void> {
    const started = performance.now()
    const base = await real(this.#root)
    const known = new Map<string, Folder>()
    const pause = slicer()
    let complete = true
    this.#seen = []
    const waiting = base === null ? [] : ['']
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      if (pause.due()) await nextIteration()
      if (this.#closed) return
      if (known.size >= MAX_FOLDERS) {
        complete = false
        break
      }
      const folder = await this.#visit(base as string, name)
      if (folder === null) continue
      known.set(name, folder)
      if (folder.repository !== null) this.#seen.push(folder.repository)
      for (const child of folder.below) {
        const below = name === '' ? child : `${name}/${child}`
        if (repositorySegments(below) === null) continue
        if (below.split('/').length > MAX_DEPTH) complete = false
        else waiting.push(below)
      }
    }
    this.#known = known
    this.#listing = { entries: sorted(this.#seen), complete }
    this.#seen = []
    this.#lookedAt = started
  }

  async #visit (base: string, name: string): Promise<Folder | null> {
    const path = join(base, name)
    const stats = look(path)
    if (stats === null) return null
    const known = this.#known.get(name)
    // A repository changes with every push and is one as long as it is the same folder.
    if (known !== undefined && known.stamp !== null && known.stamp === (known.repository === null ? contentStamp(stats) : identityStamp(stats))) return known
    const { folders, marks, bare } = await list(path)
    const worktree = marks.has('.git') ? await openGitDirectory(join(path, '.git'), base) : null
    const directory = worktree?.directory ?? (bare ? path : marks.has('HEAD') ? (await openGitDirectory(path, base))?.directory : undefined)
    if (directory === undefined) return { stamp: contentStamp(stats), repository: null, below: folders }
    return { stamp: identityStamp(stats), repository: { name, folded: fold(name), directory }, below: [] }
  }
}

/** As names are compared: without regard to case and to how accents are composed. */
export function fold (text: string): string {
  return text.normalize('NFC').toLowerCase()
}

/** The order of a listing: negative when `a` comes first. */
export function compare (a: Pick<Entry, 'name' | 'folded'>, b: Pick<Entry, 'name' | 'folded'>): number {
  if (a.folded !== b.folded) return a.folded < b.folded ? -1 : 1
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}

function sorted (entries: Entry[]): Entry[] {
  return entries.sort(compare)
}

function look (path: string): BigIntStats | null {
  try {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
    return stats?.isDirectory() === true ? stats : null
  } catch {
    return null
  }
}

/** A folder that was deleted and made anew may get the same inode. */
function identityStamp ({ dev, ino, birthtimeNs }: BigIntStats): string {
  return `${dev} ${ino} ${birthtimeNs}`
}

/** Never the same twice, null, for a folder that changed just now. */
function contentStamp (stats: BigIntStats): string | null {
  const settled = Date.now() - Number(stats.ctimeMs) > RACY_WINDOW
  return settled ? `${identityStamp(stats)} ${stats.mtimeNs} ${stats.ctimeNs}` : null
}

/** The folders in a folder, and what tells a repository. In slices, because there may be thousands. */
async function list (path: string): Promise<{ folders: string[], marks: Set<string>, bare: boolean }> {
  const folders: string[] = []
  const marks = new Set<string>()
  const pause = slicer()
  try {
    const folder = opendirSync(path, { bufferSize: 128 })
    try {
      for (let entry = folder.readSync(); entry !== null && folders.length < MAX_FOLDERS; entry = folder.readSync()) {
        if (pause.due()) await nextIteration()
        if (entry.name === '.git' || (entry.name === 'HEAD' && entry.isFile())) marks.add(entry.name)
        if (entry.name === 'HEAD' && entry.isSymbolicLink()) marks.add(entry.name)
        if (entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules') folders.push(entry.name)
      }
    } finally {
      folder.closeSync()
    }
  } catch {
    // Not ours to read, or gone meanwhile: neither can git.
  }
  // setup.c, is_git_directory, as far as names tell.
  const bare = marks.has('HEAD') && folders.includes('objects') && folders.includes('refs')
  return { folders, marks, bare }
}
