import { finished, Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import { IdleTimeoutError } from '../errors.ts'
import { IdleTimer } from '../limits/idle.ts'

/** Largest body that is read whole to see whether a remembered answer fits, in bytes; an ls-refs request of git has a few hundred. */
const MAX_SMALL = 16_384

/** A body that announced itself as small, read whole; null, and untouched, when it is larger or of unknown length. */
export async function readSmallBody (request: FastifyRequest, body: Readable, idleTimeout: number): Promise<Buffer | null> {
  const length = Number(request.headers['content-length'])
  if (!(length <= MAX_SMALL)) return null
  const chunks: Buffer[] = []
  await new Promise<void>((resolve, reject) => {
    const idle = new IdleTimer(idleTimeout, () => reject(new IdleTimeoutError()))
    body.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      idle.touch()
    })
    finished(body, { writable: false }, (error) => {
      idle.stop()
      // Sent before its end: nobody is there to be told.
      if (error != null) reject(new IdleTimeoutError())
      else resolve()
    })
  })
  return Buffer.concat(chunks)
}

/** The same bytes as a stream. */
export function asStream (bytes: Buffer): Readable {
  return Readable.from(bytes.length === 0 ? [] : [bytes], { objectMode: false })
}
