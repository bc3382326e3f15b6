import { Writable, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { GitFailedError, isOurs } from '../errors.ts'
import type { Ending } from './frames.ts'
import { Spool, type SpoolOptions } from './spool.ts'
import type { SpoolReader } from './spool-reader.ts'

/** git's answer. `holds` is false, after its end, when it is good for those who wait and no longer: an error that git tells its client, who is `refused` then. `owned`: nobody else has its chunks. */
export type GeneratedAnswer = Readable & { readonly holds?: boolean, readonly refused?: boolean, readonly owned?: boolean }

/**
 * Starts git and resolves with its answer, a stream that ends only if git answered well. `signal` says that nobody waits for
 * it any more; the stream is destroyed as well then.
 */
export type Generate = (signal: AbortSignal) => Promise<GeneratedAnswer>

/** The end of one that is complete. Made once: an error for each would cost more than the rest of it. */
const OVER = new Error('nobody waits for it any more')

/** One run of git for all who ask the same meanwhile. */
export class Generation {
  readonly spool: Spool
  /** How many asked for it. */
  times: number
  /** When all of it was stored, in milliseconds of `performance.now()`. */
  completed: number | null = null
  /** It says why git refuses what was asked for; known when its readers come to its end. */
  isRefused: boolean = false
  /** It is in a store, or on the way into one. */
  isClaimed: boolean = false
  /** git still writes, or a store still reads. */
  isBusy: boolean = true
  /** Resolves at the end. */
  readonly ending: Promise<Ending>
  /** Where the answer comes from, when it is not from a git of this process. */
  source: 'hit' | 'shared' | null = null
  #onEnding!: (ending: Ending) => void
  readonly #abandoned = new AbortController()
  /** What the last one who left was told. */
  #lastWords: unknown

  constructor (times: number, options: SpoolOptions) {
    this.times = times
    this.ending = new Promise((resolve) => { this.#onEnding = resolve })
    this.spool = new Spool(options)
  }

  /** Fills the spool, with all of the answer if it can; never rejects. */
  async run (generate: Generate): Promise<void> {
    const { signal } = this.#abandoned
    try {
      const answer = await generate(signal)
      // Errors that come after the end are nobody's.
      answer.on('error', () => {})
      await pipeline(answer, new Writable({
        highWaterMark: 1,
        write: (chunk: Buffer, _encoding, callback) => { this.spool.write(chunk, answer.owned).then(() => callback(), callback) }
      }), { signal })
      this.isRefused = answer.refused === true
      if (await this.spool.end() && answer.holds !== false) this.completed = performance.now()
    } catch (error) {
      await this.spool.fail(error instanceof Error ? error : new GitFailedError())
    } finally {
      this.isBusy = false
      this.#onEnding(this.isRefused ? 'refused' : this.completed !== null ? 'lasting' : 'passing')
    }
  }

  /** Ends git, and whoever reads. Resolves when the file is gone. */
  async abandon (reason: unknown = this.completed === null ? this.#lastWords : OVER): Promise<void> {
    const failed = this.spool.fail(isOurs(reason) ? reason : reason === OVER ? OVER : new GitFailedError())
    this.#abandoned.abort(reason)
    await failed
  }

  /** Resolves with a reader from the start once there is something to read; `left` tells that its client has gone. @throws what git failed with. */
  async follow (left: AbortSignal): Promise<SpoolReader> {
    const { spool } = this
    const reader = spool.read()
    // Whoever reads it hears of an error; without this one, an error before that would be nobody's.
    reader.on('error', () => {})
    // A client that left is no error to log.
    const leave = (): void => {
      this.#lastWords = left.reason
      reader.destroy(isOurs(left.reason) ? left.reason : undefined)
    }
    left.addEventListener('abort', leave)
    if (left.aborted) leave()
    reader.once('close', () => left.removeEventListener('abort', leave))
    await new Promise<void>((resolve, reject) => {
      spool.started().then(resolve, reject)
      reader.once('close', () => reject(reader.errored ?? left.reason))
    })
    return reader
  }
}
