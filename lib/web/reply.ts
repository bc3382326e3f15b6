import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { addVary } from '../routes/send-answer.ts'
import type { Html } from './html.ts'

/** Everything comes from this server, and nothing but files runs. */
const POLICY = [
  'default-src \'none\'', 'script-src \'self\'', 'style-src \'self\'', 'img-src \'self\'', 'connect-src \'self\'',
  'form-action \'self\'', 'base-uri \'none\'', 'frame-ancestors \'none\'', 'require-trusted-types-for \'script\''
].join('; ')

/** Headers of every answer, errors included. */
export function protect (reply: FastifyReply): void {
  reply.header('content-security-policy', POLICY)
  reply.header('x-content-type-options', 'nosniff')
  reply.header('referrer-policy', 'no-referrer')
  reply.header('cross-origin-opener-policy', 'same-origin')
  reply.header('cross-origin-resource-policy', 'same-origin')
}

/** Sends a page. */
export function sendPage (request: FastifyRequest, reply: FastifyReply, page: Html): FastifyReply {
  addVary(reply, 'Authorization')
  return sendText(request, reply.header('cache-control', 'no-cache, private'), 'text/html', page.toString())
}

/** Sends a file that is the same for everybody. */
export function sendAsset (request: FastifyRequest, reply: FastifyReply, type: string, text: string): FastifyReply {
  return sendText(request, reply.header('cache-control', 'no-cache'), type, text)
}

/** RFC 9110, section 13.1.2: whoever has it already is told so. */
function sendText (request: FastifyRequest, reply: FastifyReply, type: string, text: string): FastifyReply {
  const etag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 27)}"`
  reply.type(`${type}; charset=utf-8`)
  if (reply.statusCode !== 200) return reply.send(text)
  reply.header('etag', etag)
  return matches(request.headers['if-none-match'], etag) ? reply.code(304).send() : reply.send(text)
}

function matches (header: string | undefined, etag: string): boolean {
  // A proxy that compresses makes the tag a weak one.
  return header?.split(',').some((tag) => ['*', etag].includes(tag.trim().replace(/^W\//, ''))) === true
}
