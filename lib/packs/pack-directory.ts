import { randomBytes } from 'node:crypto'
import { constants, statSync } from 'node:fs'
import { lstat, mkdir, open, readdir, rename, unlink, type FileHandle } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { hasEnded, ownerName } from './owner.ts'
import { roomFor, type Room } from './room.ts'
import { TemporaryFile } from './temporary-file.ts'
import { NO_DISK, type Trouble } from './trouble.ts'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants
const ENTRY = /^[0-9a-f]{64}\.pack$/
const TEMPORARY = /^tmp-([0-9a-f]+-\d+-\w+)-[0-9a-f]+$/
/** How often what is too old or left over is looked for, in milliseconds. */
const SWEEP_INTERVAL = 60_000

export interface DirectoryOptions {
  path: string
  maxBytes: number
  /** How long a file is kept, in milliseconds. */
  maxAge: number
  /** How many processes write to it. Default 1. */
  processes?: number | undefined
}

interface Entry {
  name: string
  size: number
  written: number
}

/**
 * The folder of the cached files: only the server's user can look into it, it holds a bounded number of bytes, and several
 * processes can use it at the same time. Files of other names are not touched.
 */
export class PackDirectory {
  readonly options: DirectoryOptions
  readonly #room: Room
  readonly #trouble: Trouble
  readonly #temporary = new Set<string>()
  readonly #files = new Set<TemporaryFile>()
  /** How many read a file in this process. */
  readonly #inUse = new Map<string, number>()
  readonly #timer: NodeJS.Timeout
  #owner: Promise<string> | undefined
  /** Bytes in the files of everybody else and in those that are complete, when it was last looked. */
  #others = 0
  /** Bytes that temporary files of this process have taken. */
  #taken = 0
  /** Bytes that were taken since it was last looked. */
  #unseen = 0
  #turn: Promise<unknown> = Promise.resolve()
  readonly #creations = new Set<Promise<TemporaryFile>>()
  #isClosed = false

  constructor (options: DirectoryOptions, trouble: Trouble) {
    this.options = options
    this.#room = roomFor(options.maxBytes, options.processes ?? 1)
    this.#trouble = trouble
    this.#timer = setInterval(() => this.sweep(), Math.min(options.maxAge, SWEEP_INTERVAL)).unref()
    this.sweep()
  }

  /** Bytes that the folder holds, as far as this process knows. */
  get bytes (): number {
    return this.#others + this.#taken
  }

  /** Opens an entry for reading; null when there is none. */
  async open (name: string): Promise<FileHandle | null> {
    try {
      await this.#check()
      // Most are not there, and this costs less than an error.
      if (statSync(join(this.options.path, name), { throwIfNoEntry: false }) === undefined) return null
      // Whatever it is, it must not be another file's name, and must not make us wait.
      return await open(join(this.options.path, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') this.#trouble.report(NO_DISK, error)
      return null
    }
  }

  /** While it is in use, a file is not pulled away. */
  use (name: string): void {
    this.#inUse.set(name, (this.#inUse.get(name) ?? 0) + 1)
  }

  unuse (name: string): void {
    const users = (this.#inUse.get(name) ?? 0) - 1
    if (users > 0) this.#inUse.set(name, users)
    else this.#inUse.delete(name)
  }

  /** @throws when no file can be made. */
  async create (): Promise<TemporaryFile> {
    const creation = this.#create()
    this.#creations.add(creation)
    try {
      return await creation
    } finally {
      this.#creations.delete(creation)
    }
  }

  /** Gives a complete file its name; from then on it can be found. */
  async adopt (file: TemporaryFile, name: string): Promise<void> {
    await this.#inTurn(async () => {
      await rename(file.path, join(this.options.path, name))
      this.#temporary.delete(basename(file.path))
      this.use(name)
      file.keep(() => this.unuse(name))
      this.#taken -= file.size
      this.#others += file.size
    })
  }

  /** Removes what is too old, and what processes that have ended left; never rejects. */
  async sweep (): Promise<void> {
    try {
      await this.#inTurn(async () => await this.#look())
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') this.#trouble.report(NO_DISK, error)
    }
  }

  /** Removes the temporary files of this process. Complete ones stay, others may use them. */
  async close (): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    await Promise.allSettled(this.#creations)
    await Promise.all([...this.#files].map(async (file) => await file.discard()))
    await this.#turn
  }

  async #create (): Promise<TemporaryFile> {
    await this.#prepare()
    const name = `tmp-${await (this.#owner ??= ownerName())}-${randomBytes(8).toString('hex')}`
    const path = join(this.options.path, name)
    this.#temporary.add(name)
    const remove = async (): Promise<void> => {
      await this.#remove(name)
      this.#temporary.delete(name)
    }
    try {
      if (this.#isClosed) throw new Error('the cache is closed')
      const handle = await open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
      const file: TemporaryFile = new TemporaryFile({
        handle,
        path,
        takeRoom: async (bytes) => await this.#takeRoom(bytes),
        remove,
        onClosed: () => this.#files.delete(file)
      })
      this.#files.add(file)
      return file
    } catch (error) {
      this.#temporary.delete(name)
      throw error
    }
  }

  async #prepare (): Promise<void> {
    try {
      await this.#check()
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      // It may have been cleaned away since it was made, temporary folders are.
      await mkdir(this.options.path, { recursive: true, mode: 0o700 })
      await this.#check()
    }
  }

  /** Whoever could write to the folder could put anything in front of git's clients; whoever could read it, read private repositories. */
  async #check (): Promise<void> {
    const { path } = this.options
    const stats = await lstat(path)
    if (!stats.isDirectory()) throw new Error(`${path} is not a directory`)
    if (stats.uid !== process.geteuid?.()) throw new Error(`${path} belongs to another user`)
    if ((stats.mode & 0o077) !== 0) throw new Error(`${path} can be opened by other users (chmod 700 helps)`)
  }

  async #takeRoom (bytes: number): Promise<boolean> {
    this.#taken += bytes
    if (bytes <= 0) return true
    this.#unseen += bytes
    // What other processes wrote meanwhile is only known by looking.
    if (this.bytes > this.#room.most || this.#unseen > this.#room.step) {
      await this.#inTurn(async () => await this.#evict(await this.#look()))
      // These will be written now.
      this.#unseen += bytes
    }
    if (this.bytes <= this.#room.most) return true
    this.#taken -= bytes
    return false
  }

  /** When there is no room: the oldest out, but for those in use. */
  async #evict (entries: Entry[]): Promise<void> {
    if (this.bytes <= this.#room.most) return
    for (const { name, size } of entries.sort((a, b) => a.written - b.written)) {
      if (this.bytes <= this.#room.enough) return
      if (!this.#inUse.has(name) && await this.#remove(name)) this.#others -= size
    }
  }

  /** Looks at every file, and removes those that nobody needs. */
  async #look (): Promise<Entry[]> {
    await this.#check()
    this.#unseen = 0
    const entries: Entry[] = []
    const seen = new Set<string>()
    let others = 0
    const look = async (name: string): Promise<void> => {
      seen.add(name)
      const owner = TEMPORARY.exec(name)?.[1]
      if ((owner === undefined && !ENTRY.test(name)) || this.#temporary.has(name)) return
      // Another process may have removed it.
      const stats = await lstat(join(this.options.path, name)).catch(() => null)
      if (stats === null) return
      const age = Date.now() - stats.mtimeMs
      const isNeedless = owner === undefined ? Math.abs(age) > this.options.maxAge && !this.#inUse.has(name) : await hasEnded(owner, age)
      if (isNeedless && await this.#remove(name)) return
      others += stats.size
      if (owner === undefined) entries.push({ name, size: stats.size, written: stats.mtimeMs })
    }
    for (const name of await readdir(this.options.path)) await look(name)
    // What another process has completed meanwhile is under its new name by now.
    for (const name of await readdir(this.options.path)) if (!seen.has(name)) await look(name)
    this.#others = others
    return entries
  }

  async #remove (name: string): Promise<boolean> {
    return await unlink(join(this.options.path, name)).then(() => true, (error) => codeOf(error) === 'ENOENT')
  }

  /** One after the other: what is seen must not change while it is counted. */
  async #inTurn<T> (act: () => Promise<T>): Promise<T> {
    const acted = this.#turn.then(act)
    this.#turn = acted.catch(() => {})
    return await acted
  }
}

function codeOf (error: unknown): unknown {
  return (error as NodeJS.ErrnoException).code
}
