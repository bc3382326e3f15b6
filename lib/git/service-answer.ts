import { ServerResponse } from 'node:http'
import { Http2ServerResponse } from 'node:http2'
import { Transform, type TransformCallback } from 'node:stream'
import { GitFailedError } from '../errors.ts'
import { release } from '../limits/release.ts'
import { AnswerTail } from '../protocol/answer-tail.ts'
import { complaintOf } from '../protocol/complaint.ts'
import type { GitExit } from './exit.ts'
import type { GitProcess } from './git-process.ts'
import { endGroup } from './process-group.ts'

/** How long stdout may stay open behind a git that has ended (a hook's background process), in milliseconds. */
const LINGER = 2_000
export interface AnswerOptions {
  /** Goes out before git's first byte, and not at all when git fails before it. */
  prefix: Buffer | null
  /** The exit code that is well without any output. */
  emptyExit: number
  onProgress: () => void
  /** Says in git's protocol why git refused the request, when git does so without a word. Without it, such an answer fails. */
  explain?: ((reason: string) => Buffer) | undefined
}

/**
 * git's stdout as an answer that ends well only if git did: it ends after the exit is known,
 * and errors when git failed without saying so in its protocol. Before the first byte such an error
 * can still become a status; after it, the connection is destroyed and the client notices.
 */
export class ServiceAnswer extends Transform {
  /** Bytes that git has written. */
  bytes: number = 0
  readonly #git: GitProcess
  readonly #options: AnswerOptions
  readonly #tail: AnswerTail = new AnswerTail()

  constructor (git: GitProcess, options: AnswerOptions) {
    super()
    this.#git = git
    this.#options = options
    // Not pipeline(): it would close stdout when the client leaves, and a receive-pack that then writes dies of
    // SIGPIPE without removing its quarantine. Whoever ends the process decides what happens to its output.
    git.stdout.pipe(this)
    git.stdout.once('error', (error) => this.destroy(error))
    this.once('close', () => git.stdout.unpipe(this))
    this.#watchExit()
  }

  /** Resolves when the first byte is there or git ended well without one; rejects when git failed. */
  async started (): Promise<void> {
    if (this.readableLength > 0) return
    await new Promise<void>((resolve, reject) => {
      this.once('readable', resolve)
      this.once('error', reject)
      this.once('close', () => reject(new GitFailedError()))
    })
  }

  /**
   * What Fastify calls to send the answer. To a response the chunks go one by one, and each is freed as soon as the
   * connection has it; any other stream (a host's compression) may keep them, and gets an ordinary pipe.
   */
  override pipe<T extends NodeJS.WritableStream> (destination: T, options?: { end?: boolean }): T {
    if (!(destination instanceof ServerResponse) && !(destination instanceof Http2ServerResponse)) return super.pipe(destination, options)
    this.on('data', (chunk: Buffer) => {
      const written = (): void => { if (chunk !== this.#options.prefix) release(chunk) }
      if (!destination.write(chunk, written)) this.pause()
    })
    destination.on('drain', () => this.resume())
    if (options?.end !== false) this.once('end', () => destination.end())
    return destination
  }

  override _transform (chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    if (this.bytes === 0 && this.#options.prefix !== null) this.push(this.#options.prefix)
    this.bytes += chunk.length
    this.#tail.update(chunk)
    this.#options.onProgress()
    callback(null, chunk)
  }

  override _flush (callback: TransformCallback): void {
    this.#git.exited.then((exit) => {
      if (this.#answered(exit)) return callback()
      const refusal = this.#refusal(exit)
      if (refusal === null) callback(new GitFailedError())
      else callback(null, refusal)
    })
  }

  #answered ({ code, signal }: GitExit): boolean {
    if (signal !== null) return false
    if (code === 0) return true
    return this.bytes > 0 ? this.#tail.complete : code === this.#options.emptyExit
  }

  /** The words of a git that died of what it was asked for, as its client reads them. */
  #refusal (exit: GitExit): Buffer | null {
    const reason = this.#tail.betweenPackets ? complaintOf(exit) : null
    return reason === null ? null : this.#options.explain?.(reason) ?? null
  }

  #watchExit (): void {
    this.#git.exited.then(({ error }) => {
      // Whether what it said is all there is, nobody knows.
      if (error !== undefined) this.destroy(error)
      if (error !== undefined || this.#git.stdout.readableEnded) return
      const timer = setTimeout(() => endGroup(this.#git.pid), LINGER)
      this.#git.stdout.once('close', () => clearTimeout(timer))
    })
  }
}
