import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { Socket } from 'node:net'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { GitOutput } from './git-output.ts'
import type { GitProcess } from './git-process.ts'
import { helperCommand } from './helper-command.ts'
import { endGroup } from './process-group.ts'
import { SpawnedGit } from './spawned-git.ts'
import type { HelperMessage, PartRequest, StartRequest } from './spawner-messages.ts'

/** Longest wait for a helper to be ready, and for it to start a git, in milliseconds. */
const PATIENCE = 10_000
/** Milliseconds that the place of a start whose connection broke stays taken. */
const RECOVERY = 100
/** Longest wait for a helper to end what it runs and itself, in milliseconds. */
const CLOSE_DEADLINE = 3_000
/** The same for its last words. */
const GRACE = 250
/** Bytes of a dying helper's last words. */
const LAST_WORDS = 4_096

/** What a helper tells the spawner that has it. */
export interface HelperEvents {
  /** One start less is under way. */
  onRoom (): void
  /** It ended although nobody closed it. */
  onLost (helper: Helper, reason: Error): void
}

/** One helper process and the gits that it started. */
export class Helper {
  readonly #child: ChildProcess
  readonly #events: HelperEvents
  readonly #ended: Promise<void>
  readonly #ready: Promise<void>
  /** Gits that the helper still has something to say about. */
  readonly #gits = new Map<number, SpawnedGit>()
  readonly #starting = new Set<number>()
  #ids = 0
  #lastWords = ''
  #path = ''
  #onReady!: () => void
  #onFailure!: (error: Error) => void
  #closing: Promise<void> | undefined

  private constructor (child: ChildProcess, events: HelperEvents) {
    this.#child = child
    this.#events = events
    this.#ready = new Promise((resolve, reject) => { [this.#onReady, this.#onFailure] = [resolve, reject] })
    this.#ready.catch(() => {})
    // Not started at all: 'error' and nothing else.
    this.#ended = child.pid === undefined ? Promise.resolve() : new Promise((resolve) => { child.once('exit', () => resolve()) })
    child.on('message', (message, handle) => this.#hear(message as HelperMessage, handle))
    child.on('error', (error) => this.#lose(error))
    // Comes after the last message, unlike 'exit'.
    child.once('disconnect', () => this.#lose(new Error('the helper process ended')))
    child.stderr?.on('error', () => {})
    child.stderr?.on('data', (chunk: Buffer) => { this.#lastWords = (this.#lastWords + chunk.toString()).slice(-LAST_WORDS) })
  }

  /**
   * Starts a helper and waits until it is ready.
   *
   * @throws Error with the helper's last words.
   */
  static async open (events: HelperEvents): Promise<Helper> {
    const { file, options } = helperCommand()
    const helper = new Helper(fork(file, options), events)
    const timer = setTimeout(() => helper.#lose(new Error(`the helper process was not ready within ${PATIENCE} ms`)), PATIENCE)
    await helper.#ready.finally(() => clearTimeout(timer))
    helper.#rest()
    return helper
  }

  get pid (): number | undefined {
    return this.#child.pid
  }

  /** Starts under way; endless when it does not take any more. */
  get starting (): number {
    return this.#closing === undefined ? this.#starting.size : Infinity
  }

  /** @throws GitUnavailableError */
  async start (request: Omit<StartRequest, 'id'>): Promise<GitProcess> {
    const id = ++this.#ids
    // A new connection per direction; see SpawnedGit.
    const git = new SpawnedGit({
      write: request.write,
      stdin: request.input ? this.#connect({ id, part: 'stdin' }) : null,
      channel: request.hookFolder === undefined ? null : this.#connect({ id, part: 'channel' }),
      stdout: request.write ? this.#connect({ id, ...request }) : new GitOutput(this.#path, line({ id, ...request }))
    }, PATIENCE)
    this.#gits.set(id, git)
    this.#starting.add(id)
    this.#child.channel?.ref()
    try {
      return await git.started
    } catch (error) {
      this.#gits.delete(id)
      // A helper that hangs must not look like the one with the least to do. Nor must one whose connections break: it
      // may have died, and that is about to be known.
      if (!git.hung && this.#starting.has(id)) setTimeout(() => this.#hasRoom(id), RECOVERY).unref()
      this.#rest()
      throw error
    }
  }

  /** Ends the helper and every git that it still runs. */
  async close (): Promise<void> {
    await (this.#closing ??= this.#end())
  }

  #connect (request: StartRequest | PartRequest): Socket {
    const socket = new Socket()
    // git's stdin: nothing ever comes back on it.
    if ('part' in request && request.part === 'stdin') socket.pause()
    socket.connect(this.#path)
    socket.write(line(request))
    return socket
  }

  #hear (message: HelperMessage, handle: unknown): void {
    if (message.type === 'ready') {
      this.#path = message.socket
      return this.#onReady()
    }
    const git = this.#gits.get(message.id)
    if (message.type === 'stdout') {
      if (!(handle instanceof Socket)) return
      if (git?.take(handle) !== true) handle.destroy()
      return
    }
    if (message.type === 'exited') {
      const { code, signal, stderr } = message
      git?.exit({ code, signal, stderr })
      this.#gits.delete(message.id)
      return this.#rest()
    }
    if (message.type === 'failed') git?.fail(Object.assign(new Error(message.message), { code: message.code }))
    // Nobody waits for it any more.
    else if (git?.run(message.pid) !== true) endGroup(message.pid)
    this.#hasRoom(message.id)
  }

  #hasRoom (id: number): void {
    this.#starting.delete(id)
    this.#events.onRoom()
  }

  /** While something is under way the server's loop must not end; an idle helper keeps nobody alive. */
  #rest (): void {
    if (this.#gits.size > 0) return
    this.#child.unref()
    this.#child.channel?.unref();
    (this.#child.stderr as Socket | null)?.unref()
  }

  #lose (reason: Error): void {
    for (const git of this.#gits.values()) git.fail(reason)
    this.#gits.clear()
    this.#starting.clear()
    if (this.#closing !== undefined) return
    this.#child.kill('SIGKILL')
    this.close().then(() => {
      const error = new Error(`${reason.message}: ${this.#child.signalCode ?? `exit code ${this.#child.exitCode}`} ${this.#lastWords}`.trim())
      this.#onFailure(error)
      this.#events.onLost(this, error)
    })
  }

  async #end (): Promise<void> {
    this.#child.ref()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), CLOSE_DEADLINE)
    if (this.#child.connected) this.#child.disconnect()
    await this.#ended
    clearTimeout(timer)
    // It may have had something to say; only its end is announced by 'exit'.
    const { stderr } = this.#child
    if (stderr !== null && !stderr.readableEnded) await Promise.race([once(stderr, 'close'), delay(GRACE)]).catch(() => {})
    stderr?.destroy()
    // It does so itself unless it was killed.
    if (this.#path !== '') await rm(dirname(this.#path), { recursive: true, force: true }).catch(() => {})
  }
}

function line (request: StartRequest | PartRequest): string {
  return `${JSON.stringify(request)}\n`
}
