import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { GitExit } from './exit.ts'
import { noInput, unavailable, type GitProcess } from './git-process.ts'

/** How long the helper's word is waited for once its connection ended without one, in milliseconds. */
const SILENCE = 1_000

/** Those of one git with its helper. */
export interface Connections {
  stdin: Socket | null
  /** Of a git that writes, only its request: its stdout is still to come. */
  stdout: Readable
  channel: Socket | null
  write: boolean
}

/**
 * One git of a helper, from the request to its end. Its stdin and stdout are two connections, as they would be with
 * child_process. One for both would lose answers: when git ends before it has read everything, the next write fails
 * and Node destroys the connection with what is still to be read from it (measured: 1 of 200).
 */
export class SpawnedGit {
  /** Settles when git runs, or cannot. */
  readonly started: Promise<GitProcess>
  /** The helper had all the time of the world and said nothing. */
  hung: boolean = false
  readonly #stdin: Socket | null
  #stdout: Readable
  readonly #channel: Socket | null
  #complete: boolean
  #state: 'starting' | 'running' | 'over' = 'starting'
  #timer: NodeJS.Timeout | undefined
  #resolve!: (git: GitProcess) => void
  #reject!: (error: Error) => void
  #settleExit!: (exit: GitExit) => void
  readonly #exited: Promise<GitExit> = new Promise((resolve) => { this.#settleExit = resolve })

  /** `patience`: milliseconds until the start counts as failed. */
  constructor ({ stdin, stdout, channel, write }: Connections, patience: number) {
    this.#stdin = stdin
    this.#stdout = stdout
    this.#channel = channel
    this.#complete = !write
    this.started = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#failAfter(patience, () => { this.hung = true })
    // Once git runs, its users listen for themselves. A git that ends early resets its stdin; whoever feeds it learns
    // it from the exit.
    for (const socket of [stdin, stdout, channel]) socket?.on('error', (error) => { if (this.#state === 'starting') this.fail(error) })
    // git may have ended before the word of its start is here, so an end alone proves nothing.
    stdout.once('end', () => { if (this.#state === 'starting') this.#failAfter(SILENCE) })
  }

  /** What a git that writes has for stdout. False when nobody waits for it any more. */
  take (stdout: Socket): boolean {
    if (this.#state !== 'starting') return false
    stdout.on('error', () => {})
    this.#stdout.destroy()
    this.#stdout = stdout
    this.#complete = true
    return true
  }

  /** The helper started it. False when nobody waits for it any more. */
  run (pid: number): boolean {
    clearTimeout(this.#timer)
    if (!this.#complete) this.fail(new Error('its stdout did not arrive'))
    if (this.#state !== 'starting') return false
    this.#state = 'running'
    const isOver = (): boolean => this.#state === 'over'
    this.#resolve({
      pid,
      stdin: this.#stdin ?? noInput(),
      stdout: this.#stdout,
      channel: this.#channel ?? undefined,
      exited: this.#exited,
      get hasExited () { return isOver() }
    })
    return true
  }

  /** It cannot be started, or nothing more will be heard of it. */
  fail (cause: unknown): void {
    clearTimeout(this.#timer)
    this.#channel?.destroy()
    if (this.#state === 'running') this.#settleExit({ code: null, signal: null, stderr: '', error: unavailable(cause) })
    if (this.#state !== 'starting') return
    this.#state = 'over'
    this.#stdin?.destroy()
    this.#stdout.destroy()
    this.#reject(unavailable(cause))
  }

  /** The helper saw it end. */
  exit (exit: GitExit): void {
    this.#state = 'over'
    // Nothing is read from it, so that it does not find its end by itself.
    this.#stdin?.destroy()
    this.#channel?.destroy()
    this.#settleExit(exit)
  }

  #failAfter (milliseconds: number, before: () => void = () => {}): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      before()
      this.fail(new Error(`not started within ${milliseconds} ms`))
    }, milliseconds).unref()
  }
}
