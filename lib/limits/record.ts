import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { FastifyBaseLogger } from 'fastify'
import { isOurs } from '../errors.ts'
import type { GitOperation } from '../operation.ts'
import type { PushCommand } from '../protocol/push-head.ts'
import type { OperationSummary, Outcome } from '../summary.ts'

/** Errors of ours whose status does not tell the outcome. */
const OUTCOMES: Record<string, Outcome> = {
  FST_GIT_IDLE_TIMEOUT: 'timeout',
  FST_GIT_HOOK_TIMEOUT: 'timeout',
  FST_GIT_FAILED: 'git-failed',
  FST_GIT_UNAVAILABLE: 'unavailable',
  FST_GIT_BUSY: 'unavailable',
  FST_GIT_CLOSING: 'unavailable',
  FST_GIT_INTERNAL: 'failed'
}

/** What an operation does now. */
export interface Progress {
  id: string
  operation: GitOperation | null
  /** Milliseconds since 1970. */
  startedAt: number
  bytesIn: number
  bytesOut: number
  phase: 'checking' | 'waiting' | 'listing' | 'counting' | 'receiving' | 'sending'
  cache: OperationSummary['cache']
}

/** What is learned about an operation on its way; at its end, the summary. */
export class OperationRecord {
  operation: GitOperation | null = null
  exitCode: number | null = null
  /** The refs that a push moved; null when git has reported nothing. */
  moved: (() => readonly PushCommand[] | null) | null = null
  cache: OperationSummary['cache'] = null
  /** Bytes of the body that went out so far; by default what Content-Length says. */
  sent: (() => number) | null = null
  /** Content-Length of the answer, as the one who sends it knows it: what goes to writeHead() is not in the response's headers. */
  contentLength: (() => unknown) | null = null
  /** Where the client is, as Fastify knows it. */
  address: string | null = null
  /** It waits for a git. */
  isWaiting = false
  /** Where its end is told. */
  readonly log: FastifyBaseLogger | null
  readonly #id: string
  readonly #response: ServerResponse
  readonly #begun: number = performance.now()
  #admitted: number | null = null
  #answered: number | null = null
  #received = 0
  #isReceived = false
  #error: unknown
  #inBand = false
  #isWhole = false
  #isLeft = false
  #status = 0

  constructor (id: string, response: ServerResponse, log: FastifyBaseLogger | null = null) {
    this.#id = id
    this.log = log
    this.#response = response
  }

  /** Counts a body while others read it. */
  count (body: Readable): void {
    eachLength(body, (length) => { this.#received += length })
    EventEmitter.prototype.once.call(body, 'end', () => { this.#isReceived = true })
  }

  /** Counts an answer that is a stream of its own. */
  countOut (stream: Readable): void {
    let sent = 0
    eachLength(stream, (length) => { sent += length })
    stream.on('error', (error) => this.fail(error))
    this.sent = () => sent
  }

  /** So many bytes were put back, and will come again. */
  putBack (bytes: number): void {
    this.#received -= bytes
  }

  admit (operation: GitOperation): void {
    this.operation = operation
    this.#admitted = performance.now() - this.#begun
  }

  /** The first byte of the answer is there. */
  answer (): void {
    this.#answered ??= performance.now() - this.#begun
  }

  /**
   * The first error is the one that counts, unless the client had left: what fails then fails because of that. `inBand`: the
   * client reads it in an answer with status 200.
   */
  fail (error: unknown, { inBand = false }: { inBand?: boolean } = {}): void {
    if (this.#isLeft) return
    this.#error ??= error
    this.#inBand ||= inBand
  }

  /** It was refused without an error, in an answer with status 200. */
  refuse (): void {
    this.#inBand ||= !this.#isLeft
  }

  /** The response closed; later it would not tell any more. */
  close (): void {
    this.#isWhole = this.#response.writableFinished
    this.#isLeft = !this.#isWhole
    const { headersSent, statusCode } = this.#response
    if (!headersSent) return
    this.#status = statusCode
    // An answer from memory is there at once.
    this.answer()
  }

  get progress (): Progress {
    return {
      id: this.#id,
      operation: this.operation,
      startedAt: Math.round(performance.timeOrigin + this.#begun),
      bytesIn: this.#received,
      bytesOut: this.sent?.() ?? 0,
      phase: this.#phase(),
      cache: this.cache
    }
  }

  summary (): OperationSummary {
    return {
      id: this.#id,
      operation: this.operation,
      outcome: this.#outcome(),
      status: this.#status,
      code: isOurs(this.#error) ? this.#error.code : null,
      bytesIn: this.#received,
      bytesOut: this.sent?.() ?? this.#announced(),
      durations: { total: performance.now() - this.#begun, admitted: this.#admitted, answered: this.#answered },
      exitCode: this.exitCode,
      refs: this.moved?.() ?? [],
      cache: this.cache
    }
  }

  #phase (): Progress['phase'] {
    if (this.operation === null || this.#admitted === null) return 'checking'
    if (this.#answered !== null) return 'sending'
    if (this.isWaiting) return 'waiting'
    const { phase, service } = this.operation
    if (phase === 'advertise') return 'listing'
    if (phase === 'file') return 'sending'
    if (service !== 'receive-pack') return 'counting'
    return this.#isReceived ? 'checking' : 'receiving'
  }

  #outcome (): Outcome {
    if (this.#error === undefined && this.#inBand) return 'refused'
    if (this.#error === undefined && this.#isWhole) return this.moved?.()?.length === 0 ? 'refused' : 'completed'
    if (this.#error === undefined) return 'client-gone'
    if (!isOurs(this.#error)) return 'failed'
    const known = OUTCOMES[this.#error.code]
    if (known !== undefined) return known
    return this.#inBand || (this.#error as { statusCode?: number }).statusCode as number < 500 ? 'refused' : 'failed'
  }

  #announced (): number {
    const length = Number(this.contentLength?.() ?? this.#response.getHeader('content-length') ?? 0)
    return this.#isWhole && this.#response.req?.method !== 'HEAD' ? length : 0
  }
}

/** The emitter's own on(): the stream's would make it flow. */
function eachLength (stream: Readable, act: (length: number) => void): void {
  EventEmitter.prototype.on.call(stream, 'data', ({ length }: Buffer) => act(length))
}
