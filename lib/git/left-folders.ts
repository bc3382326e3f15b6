import { lstat, opendir, rmdir, unlink } from 'node:fs/promises'
import { connect } from 'node:net'
import { basename, dirname, join } from 'node:path'

/** In the system's temporary folder; six characters of mkdtemp follow. */
export const SPAWNER_FOLDER = 'fastify-git-http-spawner-'

/** Milliseconds without a change after which a helper's folder is looked at: before, it may just be being made. */
const QUIET = 60_000
/** Most entries of a folder, and most folders of ours among them, that one look is worth. */
const MAX_ENTRIES = 20_000
const MAX_FOLDERS = 500

/**
 * Folders in `parent` that mkdtemp made of `prefix`, for this user and for nobody else, and in which nothing was made or removed for `quiet`
 * milliseconds. Never rejects.
 */
export async function * quietFolders (parent: string, prefix: string, quiet: number): AsyncGenerator<string, void, undefined> {
  let [entries, folders] = [0, 0]
  try {
    for await (const { name } of await opendir(parent)) {
      if (++entries > MAX_ENTRIES || folders >= MAX_FOLDERS) return
      if (!name.startsWith(prefix) || !/^[0-9A-Za-z]{6}$/.test(name.slice(prefix.length))) continue
      folders++
      const path = join(parent, name)
      // Of the entry itself: what a link leads to is not ours.
      const stats = await lstat(path).catch(() => null)
      if (stats?.isDirectory() !== true || stats.uid !== process.geteuid?.() || (stats.mode & 0o077) !== 0) continue
      if (stats.mtimeMs < Date.now() - quiet) yield path
    }
  } catch {
    // What cannot be listed is for somebody else to tidy.
  }
}

/**
 * Removes what helpers left beside `own` that were killed together with their server, so that nobody could remove it. Never rejects. That a helper is
 * gone is known from its socket alone: several servers, in several containers, may share the folder, and a process id says nothing of those.
 */
export async function removeLeftFolders (own: string, quiet: number = QUIET): Promise<void> {
  for await (const folder of quietFolders(dirname(own), SPAWNER_FOLDER, quiet)) {
    if (basename(folder) === basename(own)) continue
    const socket = join(folder, 'socket')
    const stats = await lstat(socket).catch(({ code }: NodeJS.ErrnoException) => code === 'ENOENT' ? 'none' as const : null)
    if (stats === null || (stats !== 'none' && !(stats.isSocket() && await isDead(socket)))) continue
    // Piece by piece: what no helper makes stays, and the folder with it.
    if (stats !== 'none') await unlink(socket).catch(() => {})
    await rmdir(folder).catch(() => {})
  }
}

/** True only when the kernel says that nobody listens. */
async function isDead (path: string): Promise<boolean> {
  const socket = connect({ path })
  return await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(false)).on('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'))
  }).finally(() => socket.destroy())
}
