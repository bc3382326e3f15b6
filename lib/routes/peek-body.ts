import type { Readable } from 'node:stream'
import { IdleTimeoutError, isOurs } from '../errors.ts'
import { IdleTimer } from '../limits/idle.ts'

/** What there is to do after a part of a body: read on, take what is there for the whole request, or leave it to somebody else. */
export type Glance = 'more' | 'whole' | 'leave'

/** How {@link peekBody} reads. */
export interface Peek {
  /** Longest body that is held in memory, in bytes. */
  limit: number
  /** Milliseconds without a byte. */
  idleTimeout: number
  /** Ends the wait for it. */
  over: AbortSignal
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
 * @throws what broke the body; IdleTimeoutError; the reason of `over` if it is one of ours.
 */
export async function peekBody (body: Readable, { limit, idleTimeout, over, onPart }: Peek): Promise<Peeked> {
  const read: Buffer[] = []
  let length = 0
  return await new Promise((resolve, reject) => {
    const idle = new IdleTimer(idleTimeout, () => fail(new IdleTimeoutError()))
    body.on('data', onData)
    body.on('end', onEnd)
    body.on('error', fail)
    body.on('close', onClose)
    // The client may have left before anybody listened.
    if (body.destroyed) onClose()
    over.addEventListener('abort', onOver)
    if (over.aborted) onOver()

    function onData (chunk: Buffer): void {
      idle.touch()
      read.push(chunk)
      length += chunk.length
      let glance: Glance
      try {
        glance = onPart(chunk, () => Buffer.concat(read))
      } catch (error) {
        return fail(error as Error)
      }
      if (glance === 'more' && length <= limit) return
      settle()
      body.pause()
      const all = Buffer.concat(read)
      if (glance === 'whole') return resolve({ bytes: all, putBack: 0 })
      body.unshift(all)
      resolve({ bytes: null, putBack: length })
    }

    function onEnd (): void {
      settle()
      resolve({ bytes: Buffer.concat(read), putBack: 0 })
    }

    /** It broke off: nobody is there to be told. */
    function onClose (): void {
      fail(new IdleTimeoutError())
    }

    function onOver (): void {
      fail(over.reason)
    }

    function fail (error: Error): void {
      settle()
      reject(isOurs(error) ? error : new IdleTimeoutError())
    }

    function settle (): void {
      idle.stop()
      over.removeEventListener('abort', onOver)
      body.off('data', onData).off('end', onEnd).off('error', fail).off('close', onClose)
    }
  })
}
