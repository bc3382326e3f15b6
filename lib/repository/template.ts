import { mkdtemp, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { quietFolders } from '../git/left-folders.ts'
import { isGitDirectory, type GitDirectory } from './git-directory.ts'

const PREFIX = 'fastify-git-http-template-'
/** Milliseconds after which a template that nobody has touched counts as left behind by a server that was killed. */
const QUIET = 86_400_000
/** Milliseconds between two touches of one that is used. */
const TOUCH = 3_600_000

/** An empty repository in the system's temporary folder. */
export interface Template {
  /** Of several that ask at once, one makes it. */
  get (): Promise<GitDirectory>
  close (): Promise<void>
}

/** `init` makes a repository of an empty folder. */
export function createTemplate (init: (directory: string) => Promise<void>): Template {
  let made: Promise<GitDirectory> | undefined
  let touched = 0

  return {
    async get () {
      const current = made
      const isThere = current !== undefined && await current.then(isUsable, () => false)
      // Of those who find it gone, the first one makes another.
      if (!isThere && made === current) made = make()
      return await (made as Promise<GitDirectory>)
    },
    async close () {
      const { directory } = await made?.catch(() => undefined) ?? {}
      if (directory !== undefined) await rm(directory, { recursive: true, force: true })
    }
  }

  async function make (): Promise<GitDirectory> {
    for await (const left of quietFolders(tmpdir(), PREFIX, QUIET)) await rm(left, { recursive: true, force: true }).catch(() => {})
    const directory = await mkdtemp(join(tmpdir(), PREFIX))
    try {
      await init(directory)
    } catch (error) {
      await rm(directory, { recursive: true, force: true })
      throw error
    }
    touched = Date.now()
    return { directory, common: directory }
  }

  /** What cleans the temporary folder may have taken it, or a part of it. While it is used, it looks it. */
  async function isUsable ({ directory }: GitDirectory): Promise<boolean> {
    if (!await isGitDirectory(directory)) return false
    const now = Date.now()
    if (now - touched < TOUCH) return true
    touched = now
    return await utimes(directory, new Date(now), new Date(now)).then(() => true, () => false)
  }
}
