import { finished, pipeline, Transform, type Duplex, type Readable, type TransformCallback } from 'node:stream'
import { createGunzip, type Gunzip } from 'node:zlib'
import { BadEncodingError, InternalError, isOurs } from '../errors.ts'
import type { ByteLimit } from '../limits/byte-limit.ts'

export interface Unpacking {
  gzip: boolean
  /** The host's stage, behind the unpacking. */
  stage?: Duplex | null
  /** Bounds what comes out. */
  limit?: ByteLimit | null
}

/**
 * A request body as git reads it: unpacked, within its limit, and through the host's stage. The body itself, when there is nothing to do.
 * It fails with an error of this package. The body is never destroyed from here: that would destroy the connection, and
 * with it the answer. What is left of it then is for the caller to drain.
 */
export function unpack (body: Readable, { gzip, stage = null, limit = null }: Unpacking): Readable {
  const unzip = gzip ? createGunzip() : null
  const stages: Duplex[] = [...(unzip === null ? [] : [unzip, new Unpacked(body, unzip, limit)]), ...(stage === null ? [] : [stage])]
  const [first, last] = [stages[0], stages.at(-1)]
  if (first === undefined || last === undefined) return body
  const ready = new Checked()
  pipeline([...stages, ready], (error) => {
    body.unpipe(first)
    if (error != null && !ready.destroyed) ready.destroy(error)
  })
  // A body that breaks off must not look like one that ended.
  finished(body, { writable: false }, (error) => { if (error != null) first.destroy(error) })
  body.pipe(first)
  return ready
}

/**
 * Makes errors ours, and keeps the newest chunk back until all stages before it have ended well: damage, or what a stage of the
 * host refuses, may show at the end only, and without its last bytes git applies no push and answers no fetch.
 */
class Checked extends Transform {
  #held: Buffer | null = null

  override _transform (chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    const ready = this.#held
    this.#held = chunk
    callback(null, ready)
  }

  override _flush (callback: TransformCallback): void {
    callback(null, this.#held)
  }

  override _destroy (error: NodeJS.ErrnoException | null, callback: (error: Error | null) => void): void {
    if (error === null || isOurs(error)) callback(error)
    else callback(error.code?.startsWith('Z_') === true ? new BadEncodingError() : Object.assign(new InternalError(), { cause: error }))
  }
}

/** Bounds what was unpacked, and finds out whether that was all. zlib hands out data before it finds that the end is missing or the checksum is wrong. */
class Unpacked extends Transform {
  readonly #unzip: Gunzip
  readonly #limit: ByteLimit | null
  #received = 0

  constructor (body: Readable, unzip: Gunzip, limit: ByteLimit | null) {
    super()
    this.#unzip = unzip
    this.#limit = limit
    body.on('data', ({ length }: Buffer) => {
      this.#received += length
      limit?.receive(length)
    })
    body.pause()
  }

  override _transform (chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    callback(this.#limit?.give(chunk.length) ?? null, chunk)
  }

  /**
   * What follows the end of a gzip member has to be another one, or zlib fails, except when it starts with a zero byte, which
   * may be padding: then zlib ends well and leaves the rest alone (Node's node_zlib.cc, ZlibContext::DoThreadPoolWork).
   */
  override _flush (callback: TransformCallback): void {
    callback(this.#unzip.bytesWritten === this.#received ? null : new BadEncodingError())
  }
}
