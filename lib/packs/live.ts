import { createHash, randomBytes } from 'node:crypto'
import { lstat, mkdir, readdir, rmdir, stat, unlink } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pipeline, type Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { frames, RemoteAnswer, type Ending } from './frames.ts'
import { buryOnceDead, isTaken, NAME_LENGTH, takeName } from './socket-name.ts'
import type { Trouble } from './trouble.ts'

/** How often to look who makes an answer, before this process makes its own. */
const ATTEMPTS = 6
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
  readonly #leads = new Set<Lead>()
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
        const lead = isTaken(path) ? null : await this.#lead(path, made).catch(async (error) => await this.#again(error))
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
    for (const lead of this.#leads) lead.release()
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

  /** null when somebody else has it. The socket gets its name when it listens, so that nobody takes it for a dead process's. */
  async #lead (path: string, made: Made): Promise<Lead | null> {
    const unnamed = join(this.directory, randomBytes(NAME_LENGTH / 2).toString('hex'))
    const server = createServer((socket) => this.#serve(socket, made))
    await new Promise<void>((resolve, reject) => {
      // In a worker of node:cluster, the socket would be the primary's.
      server.once('error', reject).listen({ path: unnamed, exclusive: true }, resolve)
    })
    server.on('error', () => {}).unref()
    let leaveName: ReturnType<typeof takeName> = null
    try {
      leaveName = takeName(unnamed, path)
    } finally {
      if (leaveName === null) server.close()
    }
    if (leaveName === null) return null
    const lead: Lead = {
      release: () => {
        this.#leads.delete(lead)
        leaveName()
        server.close()
      }
    }
    this.#leads.add(lead)
    return lead
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
