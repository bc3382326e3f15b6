import { lstat, open, readlink, realpath, stat } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'

/** Longest `.git` file, `commondir` or alternates file that is read, in bytes. */
const MAX_POINTER_LENGTH = 65_536
/** How deep alternates may point to further alternates (object-file.c, link_alt_odb_entry). */
const MAX_ALTERNATES_DEPTH = 5

/** A repository on disk; all paths absolute and real. */
export interface GitDirectory {
  directory: string
  /** Where objects, refs and config are: `directory`, or what a linked worktree's `commondir` names. */
  common: string
}

/**
 * The repository at `path`, following a `.git` file as setup.c's read_gitfile does, or null when there is none.
 * With `root` (a real path), null as well when any part of it lies outside: a symlink, a `.git` file,
 * `commondir` or alternates must not publish what was never meant to be.
 */
export async function openGitDirectory (path: string, root: string | null): Promise<GitDirectory | null> {
  const found = await real(path)
  if (found === null) return null
  const info = await stat(found).catch(() => null)
  const directory = info?.isFile() === true ? await followGitFile(found) : found
  if (directory === null || !isInside(root, directory)) return null
  const pointer = await readSmall(join(directory, 'commondir'))
  const common = pointer === null ? directory : await real(resolve(directory, pointer.trimEnd()))
  if (common === null || !isInside(root, common)) return null
  if (!await isGitDirectory(directory, common)) return null
  if (root !== null && !await staysInside(root, common)) return null
  return { directory, common }
}

/** True when `path` is `root` or below it; both real. Without a root everything is. */
export function isInside (root: string | null, path: string): boolean {
  if (root === null || path === root) return true
  return path.startsWith(root.endsWith(sep) ? root : root + sep)
}

/** The real path, or null when it does not exist or may not be read. */
export async function real (path: string): Promise<string | null> {
  return await realpath(path).catch(() => null)
}

/** setup.c, is_git_directory: a HEAD that could be one, `objects` and `refs`. */
async function isGitDirectory (directory: string, common: string): Promise<boolean> {
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
  return text !== null && /^(?:ref:\s*refs\/|[0-9a-f]{40})/.test(text)
}

async function followGitFile (file: string): Promise<string | null> {
  const text = await readSmall(file)
  if (text === null || !text.startsWith('gitdir: ')) return null
  return await real(resolve(dirname(file), text.slice('gitdir: '.length).trimEnd()))
}

async function staysInside (root: string, common: string): Promise<boolean> {
  const parts = await Promise.all(['objects', 'objects/pack', 'objects/info', 'refs', 'packed-refs', 'config'].map((name) => real(join(common, name))))
  if (parts.some((part) => part !== null && !isInside(root, part))) return false
  return parts[0] != null && await alternatesStayInside(root, parts[0], 0)
}

async function alternatesStayInside (root: string, objects: string, depth: number): Promise<boolean> {
  const text = await readSmall(join(objects, 'info', 'alternates'))
  if (text === null) return true
  if (depth >= MAX_ALTERNATES_DEPTH) return false
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    // A quoted line may hide any path; git writes them only for names that start with a quote.
    if (line.startsWith('"')) return false
    const target = await real(resolve(objects, line))
    if (target === null) continue
    if (!isInside(root, target) || !await alternatesStayInside(root, target, depth + 1)) return false
  }
  return true
}

/** A small text file, or null when it is missing, no file, or larger than any honest one. */
async function readSmall (path: string): Promise<string | null> {
  const file = await open(path).catch(() => null)
  if (file === null) return null
  try {
    const { size } = await file.stat()
    if (size > MAX_POINTER_LENGTH) return null
    const buffer = Buffer.alloc(MAX_POINTER_LENGTH)
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0)
    return buffer.toString('utf8', 0, bytesRead)
  } catch {
    return null
  } finally {
    await file.close()
  }
}
