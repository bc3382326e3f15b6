import { finished, pipeline, Transform, type Readable, type TransformCallback, Writable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { BadEncodingError } from '../errors.ts'
import { release } from '../limits/release.ts'

/**
 * Streams a request body into git's stdin, unpacked when it is gzip, with backpressure.
 * Resolves when git has all of it or wants no more; rejects with BadEncodingError.
 *
 * The body is never destroyed from here: that would destroy the connection, and with it the answer of a git
 * that decided before it had read everything. What is left of it then is for the caller to drain.
 */
export function feed (body: Readable, gzip: boolean, stdin: Writable, onProgress: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const entry = gzip ? createGunzip() : writeAndRelease(stdin)
    if (gzip) {
      pipeline(entry as Transform, new HoldBack(), stdin, (error) => settle(isZlibError(error) ? new BadEncodingError() : null))
    } else {
      finished(stdin, { readable: false }, () => settle(null))
    }
    body.on('data', onProgress)
    // A body that breaks off must not look like one that ended.
    finished(body, { writable: false }, (error) => { if (error != null) entry.destroy() })
    body.pipe(entry)

    function settle (error: Error | null): void {
      body.off('data', onProgress)
      body.unpipe(entry)
      if (error === null) resolve()
      else reject(error)
    }
  })
}

/** Passes chunks on to `stdin` and frees each once it is written, which for a pipe or socket means that the system has a copy. */
function writeAndRelease (stdin: Writable): Writable {
  const entry = new Writable({
    write (chunk: Buffer, _encoding, callback) {
      stdin.write(chunk, (error) => {
        release(chunk)
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
  return entry
}

/**
 * Keeps the newest chunk back until the stream has ended well. zlib hands out data before it finds
 * that the end is missing or the checksum is wrong; without its last bytes git applies no push.
 */
class HoldBack extends Transform {
  #held: Buffer | null = null

  override _transform (chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    const ready = this.#held
    this.#held = chunk
    callback(null, ready)
  }

  override _flush (callback: TransformCallback): void {
    callback(null, this.#held)
  }
}

function isZlibError (error: NodeJS.ErrnoException | null): boolean {
  return error?.code?.startsWith('Z_') === true
}
