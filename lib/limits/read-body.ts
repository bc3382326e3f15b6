import type { Readable } from 'node:stream'
import { IdleTimeoutError, isOurs, MalformedRequestError } from '../errors.ts'
import { IdleTimer } from './idle.ts'
import { onceLeft } from './leaving.ts'

/** How long to wait for a body. */
export interface Wait {
  /** Milliseconds without a byte. */
  idleTimeout: number
  /** Ends the wait. */
  over: AbortSignal
}

/** Enough was read: what was found, and what is put back into the body. */
export interface Found<T> {
  found: T
  rest: Buffer
}

/**
 * Reads a body until `onChunk` has found what it looks for; null when the body ended before. What is left in it waits
 * for the next reader, and none of the listeners that were added to it stays.
 *
 * @throws what `onChunk` throws; IdleTimeoutError; the body's error or the reason of `over` if it is one of ours, and
 * MalformedRequestError for all else that breaks the body off.
 */
export async function readBody<T> (body: Readable, { idleTimeout, over }: Wait, onChunk: (chunk: Buffer) => Found<T> | null): Promise<Found<T> | null> {
  // Neither says so again.
  if (over.aborted) throw brokenOff(over.reason)
  if (body.readableEnded) return null
  if (body.destroyed) throw brokenOff(body.errored)
  return await new Promise((resolve, reject) => {
    const idle = new IdleTimer(idleTimeout, () => fail(new IdleTimeoutError()))
    const unwatch = onceLeft(over, () => fail(brokenOff(over.reason)))
    body.on('data', onData).on('end', onEnd).on('error', onError).on('close', onError)
    body.resume()

    function onData (chunk: Buffer): void {
      idle.touch()
      let found: Found<T> | null
      try {
        found = onChunk(chunk)
      } catch (error) {
        return fail(error)
      }
      if (found === null) return
      settle()
      if (found.rest.length > 0) body.unshift(found.rest)
      resolve(found)
    }

    function onEnd (): void {
      settle()
      resolve(null)
    }

    function onError (error?: Error): void {
      fail(brokenOff(error))
    }

    function fail (error: unknown): void {
      settle()
      reject(error)
    }

    function settle (): void {
      idle.stop()
      unwatch()
      body.off('data', onData).off('end', onEnd).off('error', onError).off('close', onError)
      if (!body.readableEnded) body.pause()
    }
  })
}

function brokenOff (error: unknown): Error {
  return isOurs(error) ? error : new MalformedRequestError('the body broke off')
}
