import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { GitFailedError } from '../errors.ts'
import { gitOptions } from '../git/environment.ts'
import type { Starter } from '../git/starter.ts'
import { createDraftSweep, draftIn } from './drafts.ts'
import { isGitDirectory, isInside, openGitDirectory, real, type GitDirectory } from './git-directory.ts'
import { createTemplate } from './template.ts'

/** `git init` says little. */
const OUTPUT_LIMIT = 65_536

/** Something other than a repository has the name, or the name is none here. */
const IN_THE_WAY = ['EEXIST', 'ENOTDIR', 'ENOTEMPTY', 'ENAMETOOLONG', 'EISDIR', 'ELOOP']

/** Creates repositories on first push. */
export interface Creator {
  /**
   * Creates a bare repository at `path`, which must be inside `root` (a real path) when there is one. Of
   * several that try at once one creates it, and all get it. Null when the path is taken or inside another repository.
   */
  create (path: string, root: string | null): Promise<GitDirectory | null>
  /** An empty repository that stands for one not created yet: asking what a push would meet creates nothing. Null as for `create`. */
  template (path: string, root: string | null): Promise<GitDirectory | null>
  close (): Promise<void>
}

/** `config` is that of every git of a registration. */
export function createCreator (starter: Starter, config: Record<string, string>, env: Record<string, string>): Creator {
  const template = createTemplate(init)
  const sweepDrafts = createDraftSweep()

  return { create, template: getTemplate, close: template.close }

  async function create (path: string, root: string | null): Promise<GitDirectory | null> {
    try {
      return await createAt(path, root)
    } catch (error) {
      if (IN_THE_WAY.includes((error as NodeJS.ErrnoException).code ?? '')) return null
      throw error
    }
  }

  async function createAt (path: string, root: string | null): Promise<GitDirectory | null> {
    const parent = dirname(path)
    if (!await isVacant(path, root)) return null
    await mkdir(parent, { recursive: true })
    const realParent = await real(parent)
    if (realParent === null || !isInside(root, realParent)) return null
    await sweepDrafts(realParent)
    // Complete before it has its name: no other request ever sees half a repository.
    const draft = draftIn(parent)
    await mkdir(draft)
    try {
      await init(draft)
      await rename(draft, path)
    } catch (error) {
      await rm(draft, { recursive: true, force: true })
      const existing = await openGitDirectory(path, root)
      if (existing === null) throw error
      return existing
    }
    return await openGitDirectory(path, root)
  }

  async function getTemplate (path: string, root: string | null): Promise<GitDirectory | null> {
    return await isVacant(path, root) ? await template.get() : null
  }

  async function init (directory: string): Promise<void> {
    const { code } = await starter.capture([...gitOptions(directory, config), 'init', '--quiet', '--bare', directory], env, OUTPUT_LIMIT)
    if (code !== 0) throw new GitFailedError()
  }
}

/** False when the nearest folder that exists is outside root, or when it or a folder above it is a repository. */
async function isVacant (path: string, root: string | null): Promise<boolean> {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (folder === root || folder === dirname(folder)) return true
    const existing = await real(folder)
    if (existing === null) continue
    if (!isInside(root, existing)) return false
    if (await isGitDirectory(existing) || await isGitDirectory(join(existing, '.git'))) return false
  }
}
