import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Context } from '../context.ts'
import { BusyError, UnsupportedEncodingError, UnsupportedMediaTypeError } from '../errors.ts'
import type { Operation } from '../limits/operations.ts'
import type { Service } from '../operation.ts'
import { FLUSH } from '../protocol/pkt-line.ts'
import { fetchError } from '../protocol/report-status.ts'
import { admit, type Admitted } from './admit.ts'
import { targetOf } from './families.ts'
import { neverCache } from './headers.ts'
import { answerInBand, isInBand, sendRefusal } from './in-band.ts'
import { openBody, type Post } from './open-body.ts'
import { receivePack } from './receive-pack.ts'
import { runService } from './run-service.ts'
import { asStream, readSmallBody } from './small-body.ts'
import { uploadPack } from './upload-pack.ts'

/** The body that git sends to learn whether a large request would be let in (remote-curl.c, probe_rpc): git answers it with nothing. */
const PROBE = Buffer.from(FLUSH)
const PROBE_LENGTH = String(FLUSH.length)
/** POST git-upload-pack, git-receive-pack and git-upload-archive (http-protocol(5), "Smart Service"). */
export async function rpc (context: Context, operation: Operation, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { repository: path, name } = targetOf(request, 'rpc')
  const service = name as Exclude<Service, 'dumb'>
  const expected = `application/x-git-${service}-request`
  if (request.headers['content-type'] !== expected) throw new UnsupportedMediaTypeError(expected)
  const gzip = isGzip(request)
  let body = (request.body ?? null) as Readable | null
  let admitted: Admitted
  try {
    admitted = await admit(context, operation, request, reply, {
      path, service, phase: 'exchange', mayCreate: request.headers['content-length'] !== PROBE_LENGTH
    })
  } catch (error) {
    if (!isInBand(error) || service === 'upload-archive') throw error
    return await answerInBand(error, service, body, gzip, operation, request, reply)
  }
  neverCache(reply, admitted.private)
  reply.header('content-type', `application/x-git-${service}-result`)
  if (!gzip && body !== null && request.headers['content-length'] === PROBE_LENGTH) {
    const small = await readSmallBody(request, body, { idleTimeout: context.options.limits.idleTimeout, over: operation.over })
    if (small?.equals(PROBE) === true) return reply.send(Buffer.alloc(0))
    body = asStream(small ?? Buffer.alloc(0))
  }
  body ??= asStream(Buffer.alloc(0))
  const post: Post = { operation, admitted, body, gzip }
  if (service === 'upload-pack') return await fetchOrBusy(context, request, reply, post)
  if (service === 'receive-pack') return await receivePack(context, request, reply, post)
  const args = [service, admitted.repository.directory]
  const opened = openBody(context, request, post)
  return reply.send(await runService(context, request, { operation, admitted, args, body: opened.body, owned: !opened.isStaged, prefix: null }))
}

/** A fetch; the one whose turn did not come is told so in git's own protocol. */
async function fetchOrBusy (context: Context, request: FastifyRequest, reply: FastifyReply, post: Post): Promise<FastifyReply> {
  try {
    return await uploadPack(context, request, reply, post)
  } catch (error) {
    if (!(error instanceof BusyError)) throw error
    post.operation.record.fail(error, { inBand: true })
    return await sendRefusal(post.operation, request, reply, fetchError(error.message))
  }
}

/** git gzips fetch requests above 1,024 bytes (remote-curl.c, post_rpc). */
function isGzip (request: FastifyRequest): boolean {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase()
  if (encoding === 'gzip' || encoding === 'x-gzip') return true
  if (encoding === 'identity' || encoding === '') return false
  throw new UnsupportedEncodingError()
}
