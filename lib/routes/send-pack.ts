import type { FastifyReply } from 'fastify'
import type { Context } from '../context.ts'
import { IdleTimeoutError } from '../errors.ts'
import type { Operation } from '../limits/operations.ts'
import type { PackAnswer } from '../packs/pack-answer.ts'

/** What became of a fetch at the cache: `bypass` when it cannot be kept for others. */
export type CacheResult = PackAnswer['cache'] | 'bypass'

/** Says in the log line that Fastify writes at the end of the request how the cache was used; to the client only where that is asked for. */
export function noteCache ({ options }: Context, { record }: Operation, reply: FastifyReply, result: CacheResult): void {
  record.cache = result
  reply.log = reply.log.child({ 'x-git-cache': result })
  if (options.cache.packs !== false && options.cache.packs.header) reply.header('x-git-cache', result)
}

/** Sends an answer that may have been made for somebody else. */
export function sendPack (context: Context, operation: Operation, reply: FastifyReply, { cache, size, bytes, stream, isRefused }: PackAnswer): FastifyReply {
  noteCache(context, operation, reply, cache)
  operation.record.answer()
  // Node counts a part of a chunk that went out as progress.
  reply.raw.setTimeout(context.options.limits.idleTimeout, () => {
    operation.record.fail(new IdleTimeoutError())
    reply.raw.destroy()
  })
  if (stream !== null) operation.record.countOut(operation.keep(stream))
  stream?.once('end', () => { if (isRefused?.() === true) operation.record.refuse() })
  if (size !== null) reply.header('content-length', size)
  return reply.send(bytes ?? stream)
}
