import { once } from 'node:events'
import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Operation } from '../limits/operations.ts'
import { pushCapabilities } from '../protocol/capabilities.ts'
import { PacketReader } from '../protocol/packet-reader.ts'
import { fetchError, pushError } from '../protocol/report-status.ts'
import { neverCache } from './headers.ts'
import { discardBody } from './open-body.ts'

/** True for a refusal whose reason the user should read although it comes on a POST. */
export function isInBand (error: unknown): error is Error & { inBand: true } {
  return error instanceof Error && 'inBand' in error && error.inBand === true
}

/**
 * Answers a refused POST with 200 and the reason in git's own protocol, because git throws the body of an HTTP error on
 * POST away (remote-curl.c, post_rpc). What the client can read of a refused push is in the capabilities of
 * its first command. A probe, and what cannot be understood, gets the plain HTTP error.
 */
export async function answerInBand (error: Error, service: 'upload-pack' | 'receive-pack', body: Readable | null, gzip: boolean, operation: Operation, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  let answer = fetchError(error.message)
  if (service === 'receive-pack') {
    const capabilities = body === null || gzip ? null : await firstCapabilities(body)
    if (capabilities === null) throw error
    answer = pushError(error.message, capabilities)
  }
  neverCache(reply, true)
  reply.type(`application/x-git-${service}-result`)
  return await sendRefusal(operation, request, reply, answer)
}

/** Sends a refusal in git's own protocol, once the client has sent everything, up to `limit` bytes: before that it reads nothing. */
export async function sendRefusal (operation: Operation, request: FastifyRequest, reply: FastifyReply, answer: Buffer, limit?: number): Promise<FastifyReply> {
  operation.dispose()
  await discardBody(request, limit)
  return await reply.send(answer)
}

async function firstCapabilities (body: Readable): Promise<string[] | null> {
  const packets = new PacketReader()
  for (;;) {
    const packet = packets.next()
    if (packet !== null) return packet.kind === 'data' ? pushCapabilities(packet.payload) : null
    const chunk = body.read() as Buffer | null
    if (chunk !== null) packets.feed(chunk)
    else if (body.readableEnded || body.destroyed || !await readable(body)) return null
  }
}

/** Waits for more of the body; false when there will be none. */
async function readable (body: Readable): Promise<boolean> {
  const settled = new AbortController()
  const wait = (event: string): Promise<unknown> => once(body, event, { signal: settled.signal })
  try {
    return await Promise.race([wait('readable').then(() => true), wait('end').then(() => false), wait('close').then(() => false)])
  } catch {
    return false
  } finally {
    settled.abort()
  }
}
