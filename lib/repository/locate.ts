import { access } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import type { FastifyRequest } from 'fastify'
import { InternalError } from '../errors.ts'
import type { ResolvedOptions } from '../options.ts'
import { isGitDirectory, isInside, openGitDirectory, real, type GitDirectory } from './git-directory.ts'
import { repositorySegments } from './path.ts'

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

/** Builds the look-up for `root` or `resolve`. */
export function createLocate ({ root, resolve, exportAll }: ResolvedOptions): Locate {
  return async (path, request) => {
    const segments = repositorySegments(path)
    if (segments === null) return NOWHERE
    const located = resolve === undefined
      ? await underRoot(root as string, segments)
      : await resolved(path, await resolve(path, request))
    if (located.repository === null || exportAll || await isExported(located.repository)) return located
    return { name: located.name, repository: null, vacant: null }
  }
}

async function underRoot (root: string, segments: string[]): Promise<Located> {
  const base = await real(root)
  if (base === null) return NOWHERE
  const path = join(base, ...segments)
  const wanted = segments.join('/')
  if (await leadsAstray(base, segments)) return NOWHERE
  // Root itself has no name that a suffix could be added to.
  for (const { suffix, name } of wanted === '' ? SUFFIXES.slice(0, 2) : SUFFIXES) {
    const repository = await openGitDirectory(path + suffix, base)
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
async function leadsAstray (base: string, segments: string[]): Promise<boolean> {
  const folders = segments.map((_, i) => join(base, ...segments.slice(0, i)))
  const astray = await Promise.all(folders.map(async (folder) => {
    const found = await real(folder)
    return found !== null && (!isInside(base, found) || await isGitDirectory(found))
  }))
  return astray.includes(true)
}

async function resolved (path: string, target: string | null): Promise<Located> {
  if (target === null) return { name: path, repository: null, vacant: null }
  if (typeof target !== 'string' || !isAbsolute(target)) throw new InternalError()
  for (const { suffix } of SUFFIXES) {
    const repository = await openGitDirectory(target + suffix, null)
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
async function isExported ({ directory }: GitDirectory): Promise<boolean> {
  return await access(join(directory, 'git-daemon-export-ok')).then(() => true, () => false)
}
