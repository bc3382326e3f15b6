import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import { readBody, type Wait } from '../limits/read-body.ts'

/** Largest body that is read whole to see whether a remembered answer fits, in bytes; an ls-refs request of git has a few hundred. */
const MAX_SMALL = 16_384

/**
 * A body that announced itself as small, read whole; null, and untouched, when it is larger or of unknown length.
 *
 * @throws what {@link readBody} throws.
 */
export async function readSmallBody (request: FastifyRequest, body: Readable, wait: Wait): Promise<Buffer | null> {
  const length = Number(request.headers['content-length'])
  if (!(length <= MAX_SMALL)) return null
  const chunks: Buffer[] = []
  await readBody(body, wait, (chunk) => {
    chunks.push(chunk)
    return null
  })
  return Buffer.concat(chunks)
}

/** The same bytes as a stream. */
export function asStream (bytes: Buffer): Readable {
  return Readable.from(bytes.length === 0 ? [] : [bytes], { objectMode: false })
}
