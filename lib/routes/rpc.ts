import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { gunzip, type ZlibOptions } from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Answer } from '../answers/answer-cache.ts'
import { rememberedLsRefs } from '../answers/discovery.ts'
import type { Context } from '../context.ts'
import { UnsupportedEncodingError, UnsupportedMediaTypeError } from '../errors.ts'
import type { Operation } from '../limits/operations.ts'
import type { Service } from '../operation.ts'
import { FLUSH } from '../protocol/pkt-line.ts'
import { admit, type Admitted } from './admit.ts'
import { targetOf } from './families.ts'
import { neverCache } from './headers.ts'
import { answerInBand, isInBand } from './in-band.ts'
import { askerOf, runService } from './run-service.ts'
import { sendAnswer } from './send-answer.ts'
import { asStream, readSmallBody } from './small-body.ts'

/** The body that git sends to learn whether a large request would be let in (remote-curl.c, probe_rpc): git answers it with nothing. */
const PROBE = Buffer.from(FLUSH)
const PROBE_LENGTH = String(FLUSH.length)
/** Longest gzipped ls-refs request, unpacked, in bytes. */
const MAX_UNZIPPED = 262_144
const unzip = promisify<Buffer, ZlibOptions, Buffer>(gunzip)

/** POST git-upload-pack, git-receive-pack and git-upload-archive (http-protocol(5), "Smart Service"). */
export async function rpc (context: Context, operation: Operation, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { repository: path, name } = targetOf(request, 'rpc')
  const service = name as Exclude<Service, 'dumb'>
  const expected = `application/x-git-${service}-request`
  if (request.headers['content-type'] !== expected) throw new UnsupportedMediaTypeError(expected)
  const gzip = isGzip(request)
  const body = (request.body ?? null) as Readable | null
  let admitted: Admitted
  try {
    admitted = await admit(context, request, reply, {
      path, service, phase: 'exchange', mayCreate: request.headers['content-length'] !== PROBE_LENGTH
    })
  } catch (error) {
    if (!isInBand(error) || service === 'upload-archive') throw error
    return await answerInBand(error, service, body, gzip, reply)
  }
  neverCache(reply, admitted.private)
  reply.header('content-type', `application/x-git-${service}-result`)
  const small = body === null || !mayBeRemembered(request, service, admitted) ? null : await readSmallBody(request, body, context.options.limits.idleTimeout)
  if (!gzip && small?.equals(PROBE) === true) return reply.send(Buffer.alloc(0))
  const remembered = small === null ? null : await lsRefs(context, operation, request, admitted, small, gzip)
  if (remembered !== null) return sendAnswer(request, reply, remembered)
  return reply.send(await runService(context, request, {
    operation,
    admitted,
    args: argumentsOf(service, admitted.repository.directory),
    body: small === null ? body : asStream(small),
    gzip,
    prefix: null
  }))
}

/** The requests for which it is worth looking at the body. */
function mayBeRemembered (request: FastifyRequest, service: Service, { protocol }: Admitted): boolean {
  return request.headers['content-length'] === PROBE_LENGTH || (service === 'upload-pack' && protocol === 'version=2')
}

async function lsRefs (context: Context, operation: Operation, request: FastifyRequest, admitted: Admitted, body: Buffer, gzip: boolean): Promise<Answer | null> {
  const plain = gzip ? await unzip(body, { maxOutputLength: MAX_UNZIPPED }).catch(() => null) : body
  if (plain === null) return null
  return await rememberedLsRefs(context, admitted, plain, askerOf(operation, request, admitted))
}

/** http-backend.c, service_rpc(). `--strict` keeps upload-pack from looking for a repository below the one that was authorized. */
function argumentsOf (service: Exclude<Service, 'dumb'>, directory: string): string[] {
  if (service === 'upload-archive') return [service, directory]
  return [service, ...(service === 'upload-pack' ? ['--strict'] : []), '--stateless-rpc', directory]
}

/** git gzips fetch requests above 1,024 bytes (remote-curl.c, post_rpc). */
function isGzip (request: FastifyRequest): boolean {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase()
  if (encoding === 'gzip' || encoding === 'x-gzip') return true
  if (encoding === 'identity' || encoding === '') return false
  throw new UnsupportedEncodingError()
}
