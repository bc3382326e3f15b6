import { type BigIntStats, constants } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { text as readText } from 'node:stream/consumers'
import { AccessFileError } from '../errors.ts'
import { type AccessRules, MAX_BYTES, parseAccessFile, type Right, rightsOf } from './access-rules.ts'
import { type PasswordHash, PasswordChecker, dummyHash } from './password.ts'

/** The part of a pino logger that is needed here. */
export interface Logger {
  warn (object: object, message: string): void
  error (object: object, message: string): void
}

/** The coarsest clock of a file system (FAT), in milliseconds. */
const COARSEST_CLOCK = 2000

/** An access file that is followed: who asks after an edit gets what the edit says. */
export class AccessFile {
  readonly #path: string
  readonly #log: Logger
  readonly #passwords = new PasswordChecker()
  /** What was read last, good or bad. */
  #seen: Partial<Snapshot> & { problem?: string }
  /** What was good last. */
  #loaded: Loaded
  #looking: Promise<void> = Promise.resolve()
  #nextLook: Promise<void> | undefined

  private constructor (path: string, log: Logger, seen: Snapshot) {
    this.#path = path
    this.#log = log
    this.#seen = seen
    this.#loaded = this.#load(seen.text)
  }

  /**
   * Reads the file for the first time. Replace it by renaming a new one over it: of a file that is written
   * in place, a request may meet the first half.
   *
   * @param log Gets a warning for each user with a SHA-1 hash, and an error when the file has become
   *   wrong, empty or unreadable later; the rules read before stay in force then. Never a password or hash.
   * @throws AccessFileError when the file is wrong; its line is 0 when the file could not be read at all.
   */
  static async open (path: string, log: Logger): Promise<AccessFile> {
    const seen = await readSnapshot(path).catch((err: Error) => { throw new AccessFileError(path, 0, err.message) })
    return new AccessFile(path, log, seen)
  }

  /** The user's name when the password is right, null otherwise; see {@link PasswordChecker.check}. */
  async authenticate (username: string, password: string): Promise<string | null> {
    await this.#look()
    const { rules, dummy } = this.#loaded
    return await this.#passwords.check(rules.users, dummy, username, password) ? username : null
  }

  /** {@link rightsOf} by the file as it is now. */
  async rights (user: string | null, repository: string): Promise<Right | undefined> {
    await this.#look()
    return rightsOf(this.#loaded.rules, user, repository)
  }

  /** A look under way may have begun before the caller's edit; all who come meanwhile share the one after it. */
  #look (): Promise<void> {
    const begin = (): Promise<void> => {
      this.#nextLook = undefined
      this.#looking = this.#refresh()
      return this.#looking
    }
    this.#nextLook ??= this.#looking.then(begin, begin)
    return this.#nextLook
  }

  async #refresh (): Promise<void> {
    const before = this.#seen
    try {
      if (stampOf(await stat(this.#path, { bigint: true })) === before.stamp) return
      const { text } = this.#seen = await readSnapshot(this.#path)
      if (text === before.text || text === this.#loaded.text) return
      // Editors empty a file before they write it; that must not open everything to everyone for a moment.
      if (text.trim() === '') throw new AccessFileError(this.#path, 1, 'the file is empty')
      this.#loaded = this.#load(text)
    } catch (err) {
      const problem = (err as Error).message
      if (this.#seen === before) this.#seen = { problem }
      if (problem !== before.problem) this.#log.error({ err, file: this.#path }, `${problem}; the access rules read before stay in force`)
    }
  }

  #load (text: string): Loaded {
    const rules = parseAccessFile(text, this.#path)
    for (const [user, { legacy }] of rules.users) {
      if (!legacy) continue
      this.#log.warn({ user }, `${user} has a SHA-1 password hash; make a better one with: fastify-git-http passwd ${user}`)
    }
    return { text, rules, dummy: dummyHash(rules.users.values()) }
  }
}

interface Loaded { text: string, rules: AccessRules, dummy: PasswordHash | undefined }

/** `stamp` identifies a version of the file; empty when the next version could still look the same. */
interface Snapshot { stamp: string, text: string }

async function readSnapshot (path: string, retries = 3): Promise<Snapshot> {
  // Without O_NONBLOCK, opening a named pipe waits for a writer.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const now = Date.now()
    const before = await handle.stat({ bigint: true })
    if (!before.isFile()) throw new Error('not a regular file')
    // Enough to exceed the limit when the file does, even without the three bytes of a byte-order mark.
    const text = await readText(handle.createReadStream({ start: 0, end: MAX_BYTES + 3, autoClose: false }))
    const stamp = stampOf(before)
    if (stamp !== stampOf(await handle.stat({ bigint: true })) && retries > 0) return await readSnapshot(path, retries - 1)
    // Two writes within one tick of the file system's clock leave the same times, so a young file is read again.
    const changed = Math.max(Number(before.mtimeMs), Number(before.ctimeMs))
    return { stamp: now - changed > COARSEST_CLOCK ? stamp : '', text }
  } finally {
    await handle.close()
  }
}

function stampOf ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join()
}
