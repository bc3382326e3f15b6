import { access } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { FastifyRequest } from 'fastify'
import { LRUCache } from 'lru-cache'
import { InternalError } from '../errors.ts'
import type { ResolvedOptions } from '../options.ts'
import { isGitDirectory, isInside, openGitDirectory, real, type GitDirectory, type Trail } from './git-directory.ts'
import { repositorySegments } from './path.ts'
import { Remembered } from './remembered.ts'
import { Witness } from './witness.ts'

/** Where a repository path of a URL leads. */
export interface Located {
  /** The canonical name: the URL's path with git's suffix rules applied. */
  name: string
  /** The repository, or null when there is none. */
  repository: GitDirectory | null
  /** Where a push would create it, or null where that is impossible. */
  vacant: string | null
}

export type Locate = (path: string, request: FastifyRequest) => Promise<Located>

/** git's order of trying a path (path.c, enter_repo), each with the name that it stands for. */
const SUFFIXES = [
  { suffix: '/.git', name: '' },
  { suffix: '', name: '' },
  { suffix: '.git/.git', name: '.git' },
  { suffix: '.git', name: '.git' }
]
const NOWHERE: Located = { name: '', repository: null, vacant: null }

/** Repositories whose place is remembered. */
const MAX_REMEMBERED = 2_000

/** Builds the look-up for `root` or `resolve`. */
export function createLocate ({ root, resolve, exportAll }: ResolvedOptions): Locate {
  const remembered = new LRUCache<string, Remembered<Located>>({ max: MAX_REMEMBERED })

  return async (path, request) => {
    const segments = repositorySegments(path)
    if (segments === null) return NOWHERE
    const target = resolve === undefined ? path : await resolve(path, request)
    if (target === null) return { name: path, repository: null, vacant: null }
    if (resolve !== undefined && (typeof target !== 'string' || !isAbsolute(target))) throw new InternalError()
    const key = `${path}\0${target}`
    const known = remembered.get(key)
    if (known !== undefined) return await known.current()
    const place = new Remembered<Located>(async (previous) => {
      const trail: Trail = new Map()
      const first = await find(segments, target, trail)
      const witness = await Witness.take(trail, previous)
      // What was found was found before it was witnessed: only if it is found again does the witness speak for it.
      const value = await find(segments, target, new Map())
      return { value, witness: isDeepStrictEqual(first, value) ? witness : null }
    })
    const located = await place.current()
    // What is not there is not remembered: anybody can ask for any number of names.
    if (located.repository !== null) remembered.set(key, place)
    return located
  }

  async function find (segments: string[], target: string, trail: Trail): Promise<Located> {
    const located = root === undefined ? await resolved(segments.join('/'), target, trail) : await underRoot(root, segments, trail)
    if (located.repository === null || exportAll || await isExported(located.repository, trail)) return located
    return { name: located.name, repository: null, vacant: null }
  }
}

async function underRoot (root: string, segments: string[], trail: Trail): Promise<Located> {
  trail.set(root, 'identity')
  const base = await real(root)
  if (base === null) return NOWHERE
  const path = join(base, ...segments)
  const wanted = segments.join('/')
  if (await leadsAstray(base, segments, trail)) return NOWHERE
  // Root itself has no name that a suffix could be added to.
  for (const { suffix, name } of wanted === '' ? SUFFIXES.slice(0, 2) : SUFFIXES) {
    const repository = await openGitDirectory(path + suffix, base, trail)
    if (repository === null || differsInCase(path + suffix, repository.directory)) continue
    return { name: wanted + name, repository, vacant: null }
  }
  const name = wanted.endsWith('.git') ? wanted : `${wanted}.git`
  return { name, repository: null, vacant: wanted === '' ? null : join(base, name) }
}

/**
 * True when a folder on the way lies outside root or is itself a git directory: `app.git/worktrees/one` would be a
 * second name for `app.git`, and no rule about the first would hold for it.
 */
async function leadsAstray (base: string, segments: string[], trail: Trail): Promise<boolean> {
  const folders = segments.map((_, i) => join(base, ...segments.slice(0, i)))
  const astray = await Promise.all(folders.map(async (folder) => {
    for (const name of ['', 'objects', 'refs', 'HEAD']) trail.set(join(folder, name), 'identity')
    const [found, head] = await Promise.all([real(folder), real(join(folder, 'HEAD'))])
    // Nothing outside is read, not even to see whether it changes.
    if (head !== null && isInside(base, head)) trail.set(join(folder, 'HEAD'), 'content')
    return found !== null && (!isInside(base, found) || await isGitDirectory(found))
  }))
  return astray.includes(true)
}

async function resolved (path: string, target: string, trail: Trail): Promise<Located> {
  for (const { suffix } of SUFFIXES) {
    const repository = await openGitDirectory(target + suffix, null, trail)
    if (repository !== null) return { name: path, repository, vacant: null }
  }
  return { name: path, repository: null, vacant: target }
}

/** Where file names ignore case, `SECRET.git` opens `secret.git`, and a rule about the one would not hold for the other. */
function differsInCase (asked: string, found: string): boolean {
  return asked !== found && fold(asked) === fold(found)
}

function fold (path: string): string {
  return path.normalize('NFC').toLowerCase()
}

/** daemon(1): without --export-all a repository is served only when it says so. */
async function isExported ({ directory }: GitDirectory, trail: Trail): Promise<boolean> {
  const file = join(directory, 'git-daemon-export-ok')
  trail.set(file, 'identity')
  return await access(file).then(() => true, () => false)
}
