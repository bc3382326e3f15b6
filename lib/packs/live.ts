import { createHash } from 'node:crypto'
import { lstatSync, rmSync } from 'node:fs'
import { lstat, mkdir, readdir, rmdir, stat, unlink } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pipeline, type Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { frames, RemoteAnswer, type Ending } from './frames.ts'
import type { Trouble } from './trouble.ts'

/** sockaddr_un holds 104 bytes on macOS, the final NUL included; this much of a key is unique enough, and fits. */
const NAME_LENGTH = 24
/** How often to look who makes an answer, before this process makes its own. */
const ATTEMPTS = 6
/** Milliseconds after which a socket that nobody listens to is taken for one of a process that died. */
const SETTLED = 30
/** Milliseconds for which the one who makes an answer may say nothing: git's own keepalive comes every 5 s, a queue may take 30. */
const SILENCE = 90_000
/** Milliseconds that others get to finish reading what this process made, when it shuts down. */
const PARTING = 30_000
/** A socket that is older was left by a process that died, in milliseconds. */
const ABANDONED = 86_400_000

/** What another process may read while it is being made. */
export interface Made {
  /** From the start; null when that cannot be read any more. */
  read (): Readable | null
  /** Resolves at the end. */
  ending: Promise<Ending>
}

/** The right to make an answer, which others follow meanwhile. */
export interface Lead {
  /** It can be found elsewhere, or is gone. Who reads it goes on. */
  release (): void
}

/**
 * Lets the processes of one machine make an answer once for all. Whoever makes one listens on a unix socket that is named after the
 * key, so that there is one; everybody else reads from it what git says, while git says it. The kernel closes the sockets of a
 * process that dies, so that its death is noticed at once, and who finds nobody behind a socket takes its place.
 *
 * Nothing but time depends on there being only one: keys stand for what they name, in every process.
 */
export class LivePacks {
  readonly directory: string
  readonly #trouble: Trouble
  readonly #leads = new Set<Server>()
  readonly #followers = new Set<Socket>()
  #prepared: Promise<void> | undefined
  #isClosed = false
  #onParted: (() => void) | null = null

  /** `packs`: the folder that the processes share. */
  constructor (packs: string, trouble: Trouble) {
    const name = createHash('sha256').update(resolve(packs)).digest('hex').slice(0, 8)
    this.directory = join(tmpdir(), `git-packs-${process.geteuid?.() ?? 0}-${name}`)
    this.#trouble = trouble
  }

  /** The right to make the answer, or the answer of the one who has it; null when neither can be had. @throws what `signal` was aborted with. */
  async begin (key: string, made: Made, signal: AbortSignal): Promise<Lead | RemoteAnswer | null> {
    const path = join(this.directory, key.slice(0, NAME_LENGTH))
    try {
      await (this.#prepared ??= this.#prepare())
      for (let i = 0; i < ATTEMPTS && !this.#isClosed; i++) {
        signal.throwIfAborted()
        const lead = await this.#lead(path, made).catch(async (error) => await this.#again(error))
        if (lead === 'again') continue
        if (lead !== null) return lead
        const answer = await this.#follow(path, signal)
        if (answer instanceof RemoteAnswer) return answer
        if (answer === 'nobody') await buryOnceDead(path)
      }
    } catch (error) {
      signal.throwIfAborted()
      this.#prepared = undefined
      this.#trouble.report('packs that are being made cannot be shared with other processes', error)
    }
    return null
  }

  /** Waits for those who read what is being made, for a while. */
  async close (): Promise<void> {
    this.#isClosed = true
    for (const server of this.#leads) server.close()
    if (this.#followers.size > 0) {
      const timer = new AbortController()
      const parted = new Promise<void>((resolve) => { this.#onParted = resolve })
      await Promise.race([parted, delay(PARTING, undefined, { signal: timer.signal }).catch(() => {})])
      timer.abort()
    }
    for (const socket of this.#followers) socket.destroy()
    // Unless others use it.
    await rmdir(this.directory).catch(() => {})
  }

  /** Another process may have removed the empty folder when it ended. */
  async #again (error: NodeJS.ErrnoException): Promise<'again'> {
    if (error.code !== 'ENOENT' && error.code !== 'EACCES') throw error
    await (this.#prepared = this.#prepare())
    return 'again'
  }

  /** null when somebody else has it. */
  async #lead (path: string, made: Made): Promise<Lead | null> {
    const server = createServer((socket) => this.#serve(socket, made))
    try {
      await new Promise<void>((resolve, reject) => {
        // In a worker of node:cluster, the socket would be the primary's.
        server.once('error', reject).listen({ path, exclusive: true }, resolve)
      })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return null
      throw error
    }
    server.on('error', () => {}).unref()
    this.#leads.add(server)
    return {
      release: () => {
        this.#leads.delete(server)
        server.close()
      }
    }
  }

  #serve (socket: Socket, { read, ending }: Made): void {
    const reader = read()
    socket.on('error', () => {})
    if (reader === null) {
      socket.destroy()
      return
    }
    this.#followers.add(socket)
    socket.once('close', () => {
      this.#followers.delete(socket)
      if (this.#followers.size === 0) this.#onParted?.()
    })
    // It says nothing, but its end is noticed.
    socket.resume()
    pipeline(reader, frames(ending), socket, () => {})
  }

  /** `nobody`: nobody listens; `nothing`: who did gave up before the first byte. */
  async #follow (path: string, signal: AbortSignal): Promise<RemoteAnswer | 'nobody' | 'nothing'> {
    const socket = connect({ path })
    const answer = new RemoteAnswer()
    let result: 'nobody' | 'nothing' = 'nothing'
    const leave = (): void => { answer.destroy() }
    signal.addEventListener('abort', leave)
    socket.once('error', ({ code }: NodeJS.ErrnoException) => { if (code === 'ECONNREFUSED' || code === 'ENOENT') result = 'nobody' })
    socket.setTimeout(SILENCE, () => socket.destroy(new Error('another process says nothing')))
    pipeline(socket, answer, () => signal.removeEventListener('abort', leave))
    return await answer.begun() ? answer : result
  }

  async #prepare (): Promise<void> {
    await mkdir(this.directory, { mode: 0o700 }).catch((error) => { if (error.code !== 'EEXIST') throw error })
    const stats = await lstat(this.directory)
    // Whoever could listen here could put anything in front of git's clients.
    if (!stats.isDirectory() || stats.uid !== process.geteuid?.() || (stats.mode & 0o077) !== 0) throw new Error(`${this.directory} is not a folder of this user alone`)
    for (const name of await readdir(this.directory)) {
      const path = join(this.directory, name)
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity }))
      if (Date.now() - mtimeMs > ABANDONED) await unlink(path).catch(() => {})
    }
  }
}

/** Removes a socket that nobody listens to, unless it is another one after a while: between its making and listen() one is refused, too. */
async function buryOnceDead (path: string): Promise<void> {
  const before = identity(path)
  await delay(SETTLED)
  if (before === null || identity(path) !== before || await isListening(path)) return
  // At once: others do the same, and the first of them listens there as soon as it has removed the dead one.
  if (identity(path) === before) rmSync(path, { force: true })
}

/** Inode numbers are given anew at once, so the time of its making tells a socket from its predecessor. */
function identity (path: string): string | null {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return stats === undefined ? null : `${stats.dev} ${stats.ino} ${stats.ctimeNs}`
}

async function isListening (path: string): Promise<boolean> {
  const socket = connect({ path })
  return await new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
  }).finally(() => socket.destroy()) as boolean
}
