import { constants } from 'node:fs'
import { access, mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { InternalError, InvalidOptionError } from '../errors.ts'
import { SHIM } from './shim.ts'

const PREFIX = 'fastify-git-http-hooks-'
const SHIM_NAME = 'shim'
/**
 * A folder that was not touched for so long belongs to a server that was killed; milliseconds. Long, because a push
 * may have outlived that server, and git accepts it if it finds no hooks.
 */
const ABANDONED = 24 * 60 * 60 * 1000
/** Milliseconds between two touches; they also keep programs away that clean temporary folders. */
const TOUCH = 60 * 60 * 1000

/** The folder that one push has for `core.hooksPath`. */
export interface PushHooks {
  path: string
  /** git looks for a hook when it is about to run it, so this counts from then on. */
  add (name: string): Promise<void>
  /** Only after git has ended: it takes a hook that it does not find for one that was never there. */
  remove (): Promise<void>
}

/** The shim, in a folder of this server, and below it a folder for each push. */
export class HookFolder {
  path: string
  /** Where it was before somebody cleaned up. */
  readonly #former: string[] = []
  #pushes = 0
  readonly #touching: NodeJS.Timeout

  private constructor (path: string) {
    this.path = path
    this.#touching = setInterval(() => touch(this.path), TOUCH).unref()
  }

  /**
   * Makes the folder, and removes those that servers have left which were killed.
   *
   * @throws InvalidOptionError when the system's temporary folder (TMPDIR) is no place for hooks.
   */
  static async open (): Promise<HookFolder> {
    try {
      const path = await create()
      await sweep()
      return new HookFolder(path)
    } catch (cause) {
      const message = `need a temporary folder in which scripts can be executed (${(cause as Error).message})`
      throw Object.assign(new InvalidOptionError('hooks', message), { cause })
    }
  }

  /**
   * A folder with these hooks.
   *
   * @throws InternalError when git would not run them: a push must not pass because its hooks cannot be asked.
   */
  async forPush (names: readonly string[]): Promise<PushHooks> {
    try {
      try {
        return await this.#make(names)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
        this.#former.push(this.path)
        this.path = await create()
        return await this.#make(names)
      }
    } catch (cause) {
      throw Object.assign(new InternalError(), { cause })
    }
  }

  async close (): Promise<void> {
    clearInterval(this.#touching)
    await Promise.all([this.path, ...this.#former].map(remove))
  }

  async #make (names: readonly string[]): Promise<PushHooks> {
    const shim = join(this.path, SHIM_NAME)
    const path = join(this.path, String(++this.#pushes))
    const add = async (name: string): Promise<void> => await symlink(shim, join(path, name))
    try {
      // git asks the same before it runs a hook, and goes on without when the answer is no.
      await access(shim, constants.X_OK)
      await mkdir(path)
      await Promise.all(names.map(add))
    } catch (error) {
      await remove(path)
      throw error
    }
    return { path, add, remove: async () => await remove(path) }
  }
}

/** Absolute, because git would look for a relative one in the repository. */
async function create (): Promise<string> {
  const path = await mkdtemp(join(resolve(tmpdir()), PREFIX))
  const shim = join(path, SHIM_NAME)
  try {
    await writeFile(shim, SHIM, { mode: 0o700 })
    // No for a file system that is mounted noexec.
    await access(shim, constants.X_OK)
    return path
  } catch (error) {
    await remove(path)
    throw error
  }
}

async function remove (path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(() => {})
}

async function touch (path: string): Promise<void> {
  const now = new Date()
  await Promise.all([path, join(path, SHIM_NAME)].map((file) => utimes(file, now, now))).catch(() => {})
}

async function sweep (): Promise<void> {
  const names = await readdir(tmpdir()).catch(() => [])
  await Promise.all(names.filter((name) => name.startsWith(PREFIX)).map(async (name) => {
    const path = join(tmpdir(), name)
    const info = await stat(path).catch(() => null)
    if (info === null || info.mtimeMs > Date.now() - ABANDONED) return
    await remove(path)
  }))
}
