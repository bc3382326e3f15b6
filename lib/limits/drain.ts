import { finished, type Readable } from 'node:stream'
import { IdleTimer } from './idle.ts'

/** Bytes of an unwanted body that are read, so that its sender reads the answer instead of a broken connection. */
const LIMIT = 64 * 1024 * 1024
/** Milliseconds without a byte of it. */
const IDLE = 30_000

/**
 * Reads what is left of a body, up to `limit` bytes, and drops it; whoever it was piped to gets no more of it. Resolves at its end; a sender that goes on beyond the limit, or
 * stands still, loses the connection.
 */
export function drain (body: Readable, limit: number = LIMIT): Promise<void> {
  if (body.readableEnded || body.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    let left = limit
    const idle = new IdleTimer(IDLE, () => body.destroy())
    body.on('data', (chunk: Buffer) => {
      left -= chunk.length
      idle.touch()
      if (left < 0) body.destroy()
    })
    finished(body, { writable: false }, () => {
      idle.stop()
      resolve()
    })
    // Nobody reads on where it went, and that would hold it up. This pauses it.
    body.unpipe()
    body.resume()
  })
}
