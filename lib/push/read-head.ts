import type { Readable } from 'node:stream'
import { IdleTimeoutError, isOurs, MalformedRequestError, TooLargeError } from '../errors.ts'
import { IdleTimer } from '../limits/idle.ts'
import type { PushHead } from '../protocol/push-head.ts'
import { PushRequestParser } from '../protocol/push-request.ts'

/** The head of a push, understood and as it came. What follows it, its pack, is still in the body. */
export interface ReadHead {
  head: PushHead
  bytes: Buffer
  /** Bytes that were put back into the body. */
  putBack: number
}

/**
 * Reads the commands of a push and leaves the rest in the body. `over` ends the wait for them.
 *
 * @throws MalformedRequestError, TooLargeError, IdleTimeoutError, what broke the body, or the reason of `over` if it is one of ours.
 */
export async function readPushHead (body: Readable, idleTimeout: number, over: AbortSignal): Promise<ReadHead> {
  const parser = new PushRequestParser()
  const read: Buffer[] = []
  return await new Promise((resolve, reject) => {
    const idle = new IdleTimer(idleTimeout, () => fail(new IdleTimeoutError()))
    body.on('data', onData)
    body.on('end', onEnd)
    body.on('error', fail)
    body.on('close', onEnd)
    // The client may have left before anybody listened.
    if (body.destroyed) onEnd()
    over.addEventListener('abort', onOver)
    if (over.aborted) onOver()

    function onData (chunk: Buffer): void {
      idle.touch()
      const state = parser.push(chunk)
      if (state.state === 'malformed') return fail(new MalformedRequestError(state.reason))
      if (state.state === 'too-large') return fail(new TooLargeError('the commands of the push'))
      read.push(state.state === 'complete' ? chunk.subarray(0, state.consumed) : chunk)
      if (state.state !== 'complete') return
      settle()
      body.pause()
      const rest = chunk.subarray(state.consumed)
      // A copy: whoever reads it may free it, and the head with it.
      if (rest.length > 0) body.unshift(Buffer.from(rest))
      resolve({ head: state.head, bytes: Buffer.concat(read), putBack: rest.length })
    }

    function onEnd (): void {
      fail(new MalformedRequestError('the commands of the push do not end'))
    }

    function onOver (): void {
      fail(over.reason)
    }

    function fail (error: Error): void {
      settle()
      reject(isOurs(error) ? error : new MalformedRequestError('the body broke off'))
    }

    function settle (): void {
      idle.stop()
      over.removeEventListener('abort', onOver)
      body.off('data', onData).off('end', onEnd).off('error', fail).off('close', onEnd)
    }
  })
}
