import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Context } from '../context.ts'
import { UnknownServiceError } from '../errors.ts'
import type { Operation } from '../limits/operations.ts'
import { encodePacket, FLUSH } from '../protocol/pkt-line.ts'
import { admit } from './admit.ts'
import { dumbInfoRefs } from './dumb-refs.ts'
import { targetOf } from './families.ts'
import { neverCache } from './headers.ts'
import { runService } from './run-service.ts'

const SERVICES = ['upload-pack', 'receive-pack'] as const
type AdvertisedService = typeof SERVICES[number]

/** GET info/refs: the advertisement of a service, or without one the dumb listing (http-protocol(5), "Discovering References"). */
export async function infoRefs (context: Context, operation: Operation, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const path = targetOf(request, 'info-refs').repository
  const service = askedService(request)
  if (service === null) return await dumbInfoRefs(context, operation, request, reply)
  const admitted = await admit(context, request, reply, { path, service, phase: 'advertise' })
  neverCache(reply, admitted.private)
  reply.type(`application/x-git-${service}-advertisement`)
  if (request.method === 'HEAD') return reply.send()
  const answer = await runService(context, request, {
    operation,
    admitted,
    args: [service, '--stateless-rpc', '--advertise-refs', admitted.repository.directory],
    body: null,
    gzip: false,
    prefix: namesService(service, admitted.operation.protocol) ? announcement(service) : null
  })
  return reply.send(answer)
}

/** http-backend.c, get_info_refs(): v2 starts with `version 2` instead. receive-pack has no v2 and answers v0, so it keeps the line. */
function namesService (service: AdvertisedService, protocol: 0 | 1 | 2): boolean {
  return protocol !== 2 || service === 'receive-pack'
}

function announcement (service: AdvertisedService): Buffer {
  return Buffer.concat([encodePacket(`# service=git-${service}\n`), Buffer.from(FLUSH)])
}

/**
 * The service of the query, null without one. Read from the raw URL: a host may have its own query parser.
 *
 * @throws UnknownServiceError for anything but exactly one known name.
 */
function askedService (request: FastifyRequest): AdvertisedService | null {
  const url = request.raw.url ?? ''
  const query = url.indexOf('?')
  const parameters = new URLSearchParams(query < 0 ? '' : url.slice(query + 1))
  const asked = parameters.getAll('service')
  // What a host's query parser may take for the same parameter.
  if ([...parameters.keys()].some((name) => name.startsWith('service['))) throw new UnknownServiceError()
  if (asked.length === 0) return null
  const service = SERVICES.find((name) => asked[0] === `git-${name}`)
  if (service === undefined || asked.length > 1) throw new UnknownServiceError()
  return service
}
