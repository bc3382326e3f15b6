import type { Readable } from 'node:stream'
import { MalformedRequestError, TooLargeError } from '../errors.ts'
import { readBody, type Wait } from '../limits/read-body.ts'
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
 * Reads the commands of a push and leaves the rest in the body.
 *
 * @throws MalformedRequestError, TooLargeError, and what {@link readBody} throws.
 */
export async function readPushHead (body: Readable, wait: Wait): Promise<ReadHead> {
  const parser = new PushRequestParser()
  const read: Buffer[] = []
  const found = await readBody(body, wait, (chunk) => {
    const state = parser.push(chunk)
    switch (state.state) {
      case 'malformed': throw new MalformedRequestError(state.reason)
      case 'too-large': throw new TooLargeError('the commands of the push')
      case 'incomplete':
        read.push(chunk)
        return null
      case 'complete':
        read.push(chunk.subarray(0, state.consumed))
        // A copy: whoever reads it may free it, and the head with it.
        return { found: state.head, rest: Buffer.from(chunk.subarray(state.consumed)) }
    }
  })
  if (found === null) throw new MalformedRequestError('the commands of the push do not end')
  return { head: found.found, bytes: Buffer.concat(read), putBack: found.rest.length }
}
