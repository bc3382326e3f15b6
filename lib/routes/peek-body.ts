import type { Readable } from 'node:stream'
import { readBody, type Wait } from '../limits/read-body.ts'

/** What there is to do after a part of a body: read on, take what is there for the whole request, or leave it to somebody else. */
export type Glance = 'more' | 'whole' | 'leave'

/** How {@link peekBody} reads. */
export interface Peek extends Wait {
  /** Longest body that is held in memory, in bytes. */
  limit: number
  /** Gets the body in pieces; `all` is everything so far. What it throws is thrown on. */
  onPart: (part: Buffer, all: () => Buffer) => Glance
}

/** A body that was looked at. */
export interface Peeked {
  /** The whole request, what may follow it still in the body; null when it was too large or was left: then it is in the body again. */
  bytes: Buffer | null
  /** Bytes that were put back. */
  putBack: number
}

/**
 * Reads a body to find out what it asks for.
 *
 * @throws what {@link readBody} throws.
 */
export async function peekBody (body: Readable, { limit, onPart, ...wait }: Peek): Promise<Peeked> {
  const read: Buffer[] = []
  let length = 0
  const all = (): Buffer => Buffer.concat(read)
  const left = await readBody(body, wait, (chunk) => {
    read.push(chunk)
    length += chunk.length
    const glance = onPart(chunk, all)
    if (glance === 'whole') return { found: all(), rest: Buffer.alloc(0) }
    return glance === 'leave' || length > limit ? { found: null, rest: all() } : null
  })
  // It may end with the request.
  return left === null ? { bytes: all(), putBack: 0 } : { bytes: left.found, putBack: left.rest.length }
}
