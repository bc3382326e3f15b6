import type { FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bootId } from './owner.ts'
import { PackDirectory } from './pack-directory.ts'
import type { PackLog, PackSource, PackStore, StoredPack } from './pack-store.ts'
import { SpoolReader } from './spool-reader.ts'
import type { TemporaryFile } from './temporary-file.ts'
import { Trouble } from './trouble.ts'

const MAGIC = Buffer.from('gitpack1')
/** Behind the answer, in a file: the magic, the key, the length of the answer (64 bits, big endian), and the boot it was written in. */
const TRAILER = MAGIC.length + 32 + 8 + 16

export interface DirectoryStoreOptions {
  /**
   * The folder, which is made when it is missing; it must belong to the server's user and be closed to all others. Several
   * processes of one machine may share it. Default `fastify-git-http-packs-<uid>` in the system's temporary folder.
   */
  directory?: string
  /** Bytes of disk for all files, those that are just being made included. Default 2,147,483,648 (2 GiB). */
  maxBytes?: number
  /** How long a file is kept, in milliseconds. Default 300,000 (5 minutes). */
  maxAge?: number
  /** How many processes write to the folder; they keep `maxBytes` together. Default 1. */
  processes?: number | undefined
}

/** A file that is open, for all who read it. */
interface OpenFile {
  handle: FileHandle
  /** Bytes of the answer. */
  size: number
}

interface Shared {
  file: Promise<OpenFile | null>
  /** When it was written, in milliseconds since 1970; known once it is open. */
  written: number
  users: number
}

/** Answers in files of one folder. A file under a key's name is complete, or it is not served. */
export class DirectoryStore implements PackStore {
  readonly directory: PackDirectory
  readonly #maxAge: number
  readonly #boot: Promise<Buffer> = bootId()
  readonly #open = new Map<string, Shared>()

  constructor ({ directory, maxBytes = 2 * 1024 ** 3, maxAge = 300_000, processes }: DirectoryStoreOptions, trouble: PackLog | Trouble) {
    const path = directory ?? join(tmpdir(), `fastify-git-http-packs-${process.geteuid?.() ?? 0}`)
    this.#maxAge = maxAge
    this.directory = new PackDirectory({ path, maxBytes, maxAge, processes }, trouble instanceof Trouble ? trouble : new Trouble(trouble))
  }

  async get (key: string): Promise<StoredPack | null> {
    const shared = this.#share(key)
    const file = await shared.file
    if (file === null) {
      this.#leave(key, shared)
      return null
    }
    const { handle, size } = file
    return {
      size,
      read: () => new SpoolReader({ at: (position) => position < size ? { file: handle, length: size - position } : 'end' }),
      close: () => this.#leave(key, shared)
    }
  }

  async put (key: string, source: PackSource): Promise<void> {
    const file = await this.directory.create()
    try {
      for await (const chunk of source.read() as AsyncIterable<Buffer>) await appendAll(file, chunk)
      if (file.size !== source.size) throw new Error('not as long as was promised')
      await this.adopt(key, file)
    } finally {
      await file.discard()
    }
  }

  /** Keeps a complete file, by giving it its name. @throws when there is no room for its last bytes. */
  async adopt (key: string, file: TemporaryFile): Promise<void> {
    await appendAll(file, trailer(key, file.size, await this.#boot))
    await this.directory.adopt(file, nameOf(key))
  }

  async close (): Promise<void> {
    await this.directory.close()
  }

  #share (key: string): Shared {
    let shared = this.#open.get(key)
    if (shared === undefined || this.#isExpired(shared.written)) {
      const opened: Shared = { file: this.#openFile(key, (written) => { opened.written = written }), written: Infinity, users: 0 }
      shared = opened
      this.#open.set(key, shared)
      this.directory.use(nameOf(key))
    }
    shared.users++
    return shared
  }

  async #leave (key: string, shared: Shared): Promise<void> {
    if (--shared.users > 0) return
    if (this.#open.get(key) === shared) this.#open.delete(key)
    this.directory.unuse(nameOf(key))
    await (await shared.file)?.handle.close().catch(() => {})
  }

  /** null unless it is whole, young, ours, and what its name says. */
  async #openFile (key: string, onWritten: (written: number) => void): Promise<OpenFile | null> {
    const handle = await this.directory.open(nameOf(key))
    if (handle === null) return null
    const stats = await handle.stat().catch(() => null)
    const size = (stats?.size ?? 0) - TRAILER
    if (stats?.isFile() === true && stats.uid === process.geteuid?.() && (stats.mode & 0o077) === 0 && size >= 0 && !this.#isExpired(stats.mtimeMs)) {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(TRAILER), 0, TRAILER, size).catch(() => ({ buffer: null, bytesRead: 0 }))
      if (bytesRead === TRAILER && buffer?.equals(trailer(key, size, await this.#boot)) === true) {
        onWritten(stats.mtimeMs)
        return { handle, size }
      }
    }
    await handle.close().catch(() => {})
    return null
  }

  #isExpired (written: number): boolean {
    return written !== Infinity && Math.abs(Date.now() - written) > this.#maxAge
  }
}

function nameOf (key: string): string {
  return `${key}.pack`
}

function trailer (key: string, size: number, boot: Buffer): Buffer {
  const length = Buffer.alloc(8)
  length.writeBigUInt64BE(BigInt(size))
  return Buffer.concat([MAGIC, Buffer.from(key, 'hex'), length, boot])
}

async function appendAll (file: TemporaryFile, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.append([bytes.subarray(done)])
}
