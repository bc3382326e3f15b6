import { constants } from 'node:fs'
import { lstat, open, readlink, realpath, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, sep } from 'node:path'
import type { Interest } from './witness.ts'

/** Longest `.git` file, `commondir` or alternates file that is read, in bytes. */
const MAX_POINTER_LENGTH = 65_536
/** How deep alternates may point to further alternates (object-file.c, link_alt_odb_entry). */
const MAX_ALTERNATES_DEPTH = 5

/** Collects what a decision was made from, for a {@link Witness}. */
export type Trail = Map<string, Interest>

/** A repository on disk; all paths absolute and real. */
export interface GitDirectory {
  directory: string
  /** Where objects, refs and config are: `directory`, or what a linked worktree's `commondir` names. */
  common: string
}

/**
 * The repository at `path`, following a `.git` file as setup.c's read_gitfile does, or null when there is none.
 * With `root` (a real path), null as well when any part of it lies outside: a symlink, a `.git` file,
 * `commondir` or alternates must not publish what was never meant to be. What cannot be checked counts as outside.
 */
export async function openGitDirectory (path: string, root: string | null, trail: Trail = new Map()): Promise<GitDirectory | null> {
  const found = await trace(path, trail)
  if (found === null || !isInside(root, found)) return null
  const info = await stat(found).catch(() => null)
  const directory = info?.isFile() === true ? await followGitFile(found, trail) : found
  if (directory === null || !isInside(root, directory)) return null
  trail.set(directory, 'identity')
  if (root !== null && !await partsStayInside(root, directory, ['HEAD', 'commondir'], trail)) return null
  trail.set(join(directory, 'HEAD'), 'content')
  const common = await commonOf(directory, trail)
  if (common === null || !isInside(root, common)) return null
  for (const part of ['objects', 'refs']) trail.set(join(common, part), 'identity')
  if (!await isGitDirectory(directory, common)) return null
  if (root !== null && !await staysInside(root, common, trail)) return null
  return { directory, common }
}

/** True when `path` is root or below it; both real. Without a root everything is. */
export function isInside (root: string | null, path: string): boolean {
  if (root === null || path === root) return true
  return path.startsWith(root.endsWith(sep) ? root : root + sep)
}

/** The real path, or null when it does not exist or may not be read. */
export async function real (path: string): Promise<string | null> {
  return await realpath(path).catch(() => null)
}

/** setup.c, is_git_directory: a HEAD that could be one, `objects` and `refs`. */
export async function isGitDirectory (directory: string, common: string = directory): Promise<boolean> {
  const [head, objects, refs] = await Promise.all([
    isHead(join(directory, 'HEAD')),
    stat(join(common, 'objects')).then((info) => info.isDirectory(), () => false),
    stat(join(common, 'refs')).then((info) => info.isDirectory(), () => false)
  ])
  return head && objects && refs
}

/** setup.c, validate_headref. */
async function isHead (path: string): Promise<boolean> {
  const info = await lstat(path).catch(() => null)
  if (info === null) return false
  if (info.isSymbolicLink()) return (await readlink(path)).startsWith('refs/')
  const text = await readSmall(path)
  return typeof text === 'string' && /^(?:ref:\s*refs\/|[0-9a-f]{40})/.test(text)
}

/** {@link real}, on the record. */
async function trace (path: string, trail: Trail): Promise<string | null> {
  trail.set(path, 'identity')
  return await real(path)
}

async function followGitFile (file: string, trail: Trail): Promise<string | null> {
  trail.set(file, 'content')
  const text = await readSmall(file)
  if (typeof text !== 'string' || !text.startsWith('gitdir: ')) return null
  return await follow(dirname(file), text.slice('gitdir: '.length).trimEnd(), trail)
}

async function commonOf (directory: string, trail: Trail): Promise<string | null> {
  trail.set(join(directory, 'commondir'), 'content')
  const text = await readSmall(join(directory, 'commondir'))
  if (text === MISSING) return directory
  return text === UNREADABLE ? null : await follow(directory, text.trimEnd(), trail)
}

/** Where a path in a file leads. Never normalised as text: git leaves `link/..` to the file system, which follows the link first. */
async function follow (from: string, path: string, trail: Trail): Promise<string | null> {
  return await trace(isAbsolute(path) ? path : `${from}/${path}`, trail)
}

async function staysInside (root: string, common: string, trail: Trail): Promise<boolean> {
  const parts = ['objects', 'objects/pack', 'objects/info', 'objects/info/alternates', 'refs', 'packed-refs', 'config', 'shallow']
  if (!await partsStayInside(root, common, parts, trail)) return false
  return await alternatesStayInside(root, join(common, 'objects'), 0, trail)
}

async function partsStayInside (root: string, directory: string, parts: string[], trail: Trail): Promise<boolean> {
  const found = await Promise.all(parts.map((part) => trace(join(directory, part), trail)))
  return found.every((part) => part === null || isInside(root, part))
}

async function alternatesStayInside (root: string, objects: string, depth: number, trail: Trail): Promise<boolean> {
  trail.set(join(objects, 'info', 'alternates'), 'content')
  const text = await readSmall(join(objects, 'info', 'alternates'))
  if (text === MISSING) return true
  if (text === UNREADABLE || depth >= MAX_ALTERNATES_DEPTH) return false
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    // A quoted line may hide any path; git writes them only for names that start with a quote.
    if (line.startsWith('"')) return false
    const target = await follow(objects, line, trail)
    if (target === null) continue
    if (!isInside(root, target) || !await alternatesStayInside(root, target, depth + 1, trail)) return false
  }
  return true
}

const MISSING = Symbol('missing')
const UNREADABLE = Symbol('unreadable')

/**
 * A small text file. `UNREADABLE` when it is no file, larger than any honest one, or holds what git and we would
 * read differently: git's paths end at a NUL, and ours would lose bytes that are not UTF-8.
 */
async function readSmall (path: string): Promise<string | typeof MISSING | typeof UNREADABLE> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      if (!(await file.stat()).isFile()) return UNREADABLE
      const buffer = Buffer.alloc(MAX_POINTER_LENGTH + 1)
      const { bytesRead } = await file.read(buffer, 0, buffer.length, 0)
      const text = buffer.toString('utf8', 0, bytesRead)
      return bytesRead > MAX_POINTER_LENGTH || /[\0\ufffd]/.test(text) ? UNREADABLE : text
    } finally {
      await file.close()
    }
  } catch (error) {
    return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '') ? MISSING : UNREADABLE
  }
}
