import { finished, type Readable, Writable } from 'node:stream'
import type { ByteLimit } from '../limits/byte-limit.ts'
import { release } from '../limits/release.ts'

export interface Feeding {
  onProgress: () => void
  /** The chunks belong to nobody else, and are freed once they are written. */
  owned: boolean
  /** Bounds what git gets. */
  limit?: ByteLimit | null
}

/**
 * Streams a request body, unpacked, into git's stdin, with backpressure. Resolves when git has all of it or wants no more; rejects
 * with the error of `limit`, or with that of a body that failed.
 *
 * The body is never destroyed from here: that would destroy the connection, and with it the answer of a git
 * that decided before it had read everything. What is left of it then is for the caller to drain.
 */
export function feed (body: Readable, stdin: Writable, { onProgress, owned, limit = null }: Feeding): Promise<void> {
  return new Promise((resolve, reject) => {
    let refusal: Error | null = null
    const entry = new Writable({
      write (chunk: Buffer, _encoding, callback) {
        onProgress()
        refusal = limit?.give(chunk.length) ?? null
        if (refusal !== null) return callback(refusal)
        stdin.write(chunk, (error) => {
          // Written to a pipe or socket means that the system has a copy.
          if (owned) release(chunk)
          callback(error)
        })
      },
      final (callback) { stdin.end(callback) },
      destroy (error, callback) {
        if (!stdin.writableFinished) stdin.destroy()
        callback(error)
      }
    })
    // git ends before it has read everything: the exit tells why.
    entry.on('error', () => {})
    finished(stdin, { readable: false }, () => {
      body.unpipe(entry)
      if (refusal === null) resolve()
      else reject(refusal)
    })
    // A body that breaks off must not look like one that ended.
    finished(body, { writable: false }, (error) => {
      if (error == null) return
      refusal ??= error
      entry.destroy()
    })
    body.pipe(entry)
  })
}
