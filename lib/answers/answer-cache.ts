import { gzip } from 'node:zlib'
import { LRUCache } from 'lru-cache'

/** Smaller answers are not worth compressing, in bytes. */
const MIN_COMPRESSED = 1_024

/** git's own bytes, kept while it can be proven that git would say the same again. */
export interface Answer {
  bytes: Buffer
  /** The same, compressed; there from the second time on that it is asked for. */
  gzip: Buffer | null
  /** False when it holds for this one time only. */
  keep: boolean
}

/** What making an answer resulted in. */
export interface Made {
  /** null when the answer was larger than an answer may be. */
  bytes: Buffer | null
  /** False when git's answer holds for this one time only. */
  keep: boolean
}

/** Makes an answer; `signal` says that nobody waits for it any more. */
export type Make = (signal: AbortSignal) => Promise<Made>

/** One who waits for an answer. */
export interface Waiting {
  /** Aborted when this one has gone. Read only when there is something to wait for. */
  readonly left: AbortSignal
}

interface Making {
  made: Promise<Made>
  /** How many wait for it. */
  waiting: number
  abandoned: AbortController
}

interface Kept extends Answer {
  asked: number
}

/**
 * Answers by key, bounded in bytes, the least recently used out. A key names everything that the answer depends on;
 * of those who ask for a missing one at the same time, one makes it.
 */
export class AnswerCache {
  readonly counters: { hits: number, misses: number } = { hits: 0, misses: 0 }
  readonly #kept: LRUCache<string, Kept>
  readonly #making = new Map<string, Making>()
  readonly #compressing = new Set<string>()
  readonly #maxBytes: number

  constructor (maxBytes: number) {
    this.#maxBytes = maxBytes
    this.#kept = new LRUCache({ maxSize: maxBytes, sizeCalculation: ({ bytes, gzip }, key) => bytes.length + (gzip?.length ?? 0) + key.length })
  }

  /** Bytes that are kept. */
  get bytes (): number {
    return this.#kept.calculatedSize
  }

  get maxBytes (): number {
    return this.#maxBytes
  }

  /** The answer for `key`; null when it is too large to be held in memory. */
  async get (key: string, asker: Waiting, make: Make): Promise<Answer | null> {
    const kept = this.#kept.get(key)
    if (kept !== undefined) {
      this.counters.hits++
      if (++kept.asked > 1) this.#compress(key, kept)
      return kept
    }
    this.counters.misses++
    const { bytes, keep } = await this.#once(key, asker.left, make)
    if (bytes === null) return null
    const answer: Kept = { bytes, gzip: null, keep, asked: 0 }
    if (keep && !this.#kept.has(key) && bytes.length <= this.#maxBytes) this.#kept.set(key, answer)
    return answer
  }

  /** One makes it for all; it is given up when the last of them has gone, with what that one was told. */
  async #once (key: string, left: AbortSignal, make: Make): Promise<Made> {
    const making = this.#making.get(key) ?? this.#begin(key, make)
    making.waiting++
    const leave = (): void => {
      if (--making.waiting > 0) return
      this.#forget(key, making)
      making.abandoned.abort(left.reason)
    }
    if (left.aborted) leave()
    left.addEventListener('abort', leave)
    try {
      return await making.made
    } finally {
      left.removeEventListener('abort', leave)
    }
  }

  #begin (key: string, make: Make): Making {
    const abandoned = new AbortController()
    const making: Making = { made: make(abandoned.signal), waiting: 0, abandoned }
    this.#making.set(key, making)
    const end = (): void => this.#forget(key, making)
    making.made.then(end, end)
    return making
  }

  #forget (key: string, making: Making): void {
    if (this.#making.get(key) === making) this.#making.delete(key)
  }

  /** In the thread pool, and not before a second client asks: an answer that changes with every request is not worth it. */
  #compress (key: string, kept: Kept): void {
    if (kept.gzip !== null || kept.bytes.length < MIN_COMPRESSED || this.#compressing.has(key)) return
    this.#compressing.add(key)
    gzip(kept.bytes, (error, compressed) => {
      this.#compressing.delete(key)
      if (error !== null || this.#kept.peek(key) !== kept) return
      // Another object: the same one would not be weighed anew.
      this.#kept.set(key, { ...kept, gzip: compressed })
    })
  }
}
