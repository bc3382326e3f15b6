import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { rememberedLsRefs } from '../answers/discovery.ts'
import type { Context } from '../context.ts'
import { MalformedRequestError } from '../errors.ts'
import { callWithin, hookFailure, isHeard, tell } from '../hook-runner.ts'
import { ByteLimit } from '../limits/byte-limit.ts'
import type { Operation } from '../limits/operations.ts'
import type { GitOperation } from '../operation.ts'
import { generatePack, UPLOAD_PACK_ENVIRONMENT, uploadPackArguments } from '../packs/generate.ts'
import { fetchKey } from '../packs/request-key.ts'
import { FetchRequestParser } from '../protocol/fetch-request.ts'
import { couldBeLsRefs, parseLsRefs } from '../protocol/ls-refs.ts'
import { fetchError } from '../protocol/report-status.ts'
import { sendRefusal } from './in-band.ts'
import { discardBody, openBody, type Post } from './open-body.ts'
import { peekBody, type Glance, type Peeked } from './peek-body.ts'
import { askerOf, runService } from './run-service.ts'
import { sendAnswer } from './send-answer.ts'
import { noteCache, sendPack } from './send-pack.ts'
import { asStream } from './small-body.ts'

/** Longest ls-refs request that is answered from memory, in bytes; one of git has a few hundred. */
const MAX_LS_REFS = 65_536
const NOT_UNDERSTOOD = 'this server does not understand the request'
/** Longest request that is held in memory, so that its answer can be shared, in bytes; about 20,000 haves. */
const MAX_HELD = 1_048_576

/** Lists refs from memory, takes a pack that somebody else has asked for, or asks git. */
export async function uploadPack (context: Context, request: FastifyRequest, reply: FastifyReply, post: Post): Promise<FastifyReply> {
  const { operation, admitted } = post
  const { hooks } = context.options
  const parser = new FetchRequestParser(admitted.operation.protocol)
  const limit = new ByteLimit(context.options.limits.maxNegotiationBytes)
  const { body, isStaged } = openBody(context, request, post, limit)
  const { bytes, putBack } = await peek(context, body, parser, operation.over)
  if (body === post.body) operation.record.putBack(putBack)
  // git would not read what follows a whole request (serve.c, protocol_v2_serve_loop).
  if (bytes !== null) discardBody(request)
  const asker = askerOf(operation, request, admitted)
  const transform = hooks.transformResponse?.(admitted.operation, request) ?? null
  if (transform !== null) operation.keep(transform)
  const mayRemember = transform === null
  if (bytes !== null && mayRemember) {
    const refs = await rememberedLsRefs(context, admitted, bytes, asker)
    if (refs !== null) return sendAnswer(request, reply, refs)
  }
  const state = parser.end()
  if (bytes !== null && state.state === 'malformed') throw new MalformedRequestError(state.reason)
  const refusal = isLsRefs(bytes) ? null : await askHook(context, request, operation, admitted.operation, bytes === null ? null : parser)
  if (refusal !== null) return await sendRefusal(operation, request, reply, fetchError(refusal))
  const key = bytes === null || !mayRemember || context.packs === null ? null : await fetchKey(context, admitted, parser, asker)
  if (context.packs !== null && bytes !== null && key !== null) {
    const isCurrent = async (): Promise<boolean> => await fetchKey(context, admitted, parser, asker) === key
    return sendPack(context, operation, reply, await context.packs.get(key, asker, async (signal) => await generatePack(context, admitted, bytes, asker, isCurrent, signal)))
  }
  if (context.packs !== null && !isLsRefs(bytes)) noteCache(context, operation, reply, 'bypass')
  return reply.send(await runService(context, request, {
    operation,
    admitted,
    args: uploadPackArguments(admitted.repository.directory),
    env: UPLOAD_PACK_ENVIRONMENT,
    body: bytes === null ? body : asStream(bytes),
    owned: !isStaged,
    limit: post.gzip || bytes !== null ? null : limit,
    transform,
    explain: fetchError,
    prefix: null
  }))
}

/** Reads the request as far as it takes to know what is asked for. */
async function peek ({ options: { hooks, limits } }: Context, body: Readable, parser: FetchRequestParser, over: AbortSignal): Promise<Peeked> {
  return await peekBody(body, {
    limit: isHeard(hooks, 'onFetch') ? limits.maxNegotiationBytes : MAX_HELD,
    idleTimeout: limits.idleTimeout,
    over,
    onPart: (part, all) => {
      const state = parser.push(part)
      switch (state.state) {
        case 'malformed': throw new MalformedRequestError(state.reason)
        case 'incomplete': return 'more'
        case 'complete': return 'whole'
        case 'too-large': return 'leave'
        case 'unknown': return glanceAtRefs(all())
      }
    }
  })
}

/** Everything but a fetch is git's, except for the listing of refs. */
function glanceAtRefs (all: Buffer): Glance {
  if (all.length > MAX_LS_REFS || !couldBeLsRefs(all)) return 'leave'
  return isLsRefs(all) ? 'whole' : 'more'
}

function isLsRefs (bytes: Buffer | null): boolean {
  return bytes !== null && parseLsRefs(bytes) !== null
}

/** Why onFetch refuses, or null. What is not understood, `parser` null or its state unknown, is refused where there is a hook: it could not decide. */
async function askHook ({ options: { hooks } }: Context, request: FastifyRequest, operation: Operation, asked: GitOperation, parser: FetchRequestParser | null): Promise<string | null> {
  if (!isHeard(hooks, 'onFetch')) return null
  if (parser === null || parser.end().state !== 'complete') {
    if (hooks.onFetch === undefined) return null
    operation.record.refuse()
    return NOT_UNDERSTOOD
  }
  let reason: string | null = null
  try {
    await callWithin(hooks.deadline, operation.over, async (signal) => await tell(hooks, 'onFetch', {
      ...parser.request, operation: asked, request, signal, reject: (why: string) => { reason ??= why }
    }))
  } catch (error) {
    reason = hookFailure(error, request, operation)
  }
  if (reason !== null) operation.record.refuse()
  return reason
}
