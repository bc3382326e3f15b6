import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Answer } from '../answers/answer-cache.ts'

/** Sends a remembered answer, compressed when that is at hand and the client takes it. */
export function sendAnswer (request: FastifyRequest, reply: FastifyReply, { bytes, gzip }: Answer): FastifyReply {
  if (gzip === null || !acceptsGzip(request.headers['accept-encoding'])) return reply.send(bytes)
  addVary(reply, 'Accept-Encoding')
  return reply.header('content-encoding', 'gzip').send(gzip)
}

/** RFC 9110, section 12.5.3: named, and not with a weight of 0. */
function acceptsGzip (header: string | string[] | undefined): boolean {
  if (typeof header !== 'string') return false
  return header.split(',').some((coding) => /^\s*(?:x-)?gzip\s*(?:;\s*q=(?:1(?:\.0{0,3})?|0?\.\d*[1-9]\d*)\s*)?$/i.test(coding))
}

/** Adds to what the host's hooks have set (CORS sets `Vary: Origin`). */
export function addVary (reply: FastifyReply, name: string): void {
  const vary = [reply.getHeader('vary') ?? []].flat().join(', ')
  const names = vary.split(',').map((part) => part.trim().toLowerCase())
  if (names.includes('*') || names.includes(name.toLowerCase())) return
  reply.header('vary', vary === '' ? name : `${vary}, ${name}`)
}
