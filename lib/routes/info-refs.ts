import type { FastifyReply, FastifyRequest } from 'fastify'
import { advertise, announcement, namesService, rememberedAdvertisement, type AdvertisedService } from '../answers/discovery.ts'
import type { Context } from '../context.ts'
import { UnknownServiceError } from '../errors.ts'
import type { Operation } from '../limits/operations.ts'
import { admit } from './admit.ts'
import { dumbInfoRefs } from './dumb-refs.ts'
import { targetOf } from './families.ts'
import { neverCache } from './headers.ts'
import { askerOf, runService } from './run-service.ts'
import { sendAnswer } from './send-answer.ts'

const SERVICES: AdvertisedService[] = ['upload-pack', 'receive-pack']

/** GET info/refs: the advertisement of a service, or without one the dumb listing (http-protocol(5), "Discovering References"). */
export async function infoRefs (context: Context, operation: Operation, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const path = targetOf(request, 'info-refs').repository
  const service = askedService(request)
  if (service === null) return await dumbInfoRefs(context, operation, request, reply)
  const admitted = await admit(context, operation, request, reply, { path, service, phase: 'advertise' })
  neverCache(reply, admitted.private)
  reply.header('content-type', `application/x-git-${service}-advertisement`)
  if (request.method === 'HEAD') return reply.send()
  const remembered = await rememberedAdvertisement(context, admitted, service, askerOf(operation, request, admitted))
  if (remembered !== null) return sendAnswer(request, reply, remembered)
  return reply.send(await runService(context, request, {
    operation,
    admitted,
    args: advertise(service, admitted.repository.directory),
    body: null,
    prefix: namesService(service, admitted.protocol) ? announcement(service) : null
  }))
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
