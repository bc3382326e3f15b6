import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Context } from '../context.ts'
import { UnsupportedEncodingError, UnsupportedMediaTypeError } from '../errors.ts'
import type { Operation } from '../limits/operations.ts'
import type { Service } from '../operation.ts'
import { admit, type Admitted } from './admit.ts'
import { targetOf } from './families.ts'
import { neverCache } from './headers.ts'
import { answerInBand, isInBand } from './in-band.ts'
import { runService } from './run-service.ts'

/** Length of the body `0000` that git sends to learn whether a large push would be let in (remote-curl.c, probe_rpc). */
const PROBE_LENGTH = '4'

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
  reply.type(`application/x-git-${service}-result`)
  const answer = await runService(context, request, {
    operation, admitted, args: argumentsOf(service, admitted.repository.directory), body, gzip, prefix: null
  })
  return reply.send(answer)
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
