import { constants } from 'node:fs'
import { open, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { namespacePrefix } from '../protocol/namespace.ts'
import type { GitDirectory } from '../repository/git-directory.ts'

/** Longest ref file that is read, in bytes; a symbolic one holds `ref: ` and a name. */
const MAX_LENGTH = 4_096
/** refs.c, SYMREF_MAXDEPTH. */
const MAX_DEPTH = 5

/**
 * The refs that move when `ref` is pushed to: itself, and where it leads if it is symbolic, because receive-pack moves the
 * target. A ref that is not there leads nowhere.
 */
export async function touchedRefs ({ common }: GitDirectory, namespace: string | undefined, ref: string): Promise<string[]> {
  const prefix = namespacePrefix(namespace)
  const touched = [ref]
  for (let name = `${prefix}${ref}`; touched.length <= MAX_DEPTH;) {
    const target = await symbolicTarget(join(common, name))
    if (target === null) break
    name = target
    touched.push(target.startsWith(prefix) ? target.slice(prefix.length) : target)
  }
  return touched
}

/** The ref that a ref's file names; null for one that is not symbolic, or not there. */
export async function symbolicTarget (file: string): Promise<string | null> {
  // refs/files-backend.c still reads what core.preferSymlinkRefs wrote.
  const link = await readlink(file).catch(() => '')
  if (link.startsWith('refs/')) return link
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch(() => null)
  if (handle === null) return null
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_LENGTH), 0, MAX_LENGTH, 0)
    return /^ref:\s*(\S+)/.exec(buffer.toString('utf8', 0, bytesRead))?.[1] ?? null
  } catch {
    return null
  } finally {
    await handle.close()
  }
}
