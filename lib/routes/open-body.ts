import type { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { Context } from '../context.ts'
import { unpack } from '../git/unpack.ts'
import type { ByteLimit } from '../limits/byte-limit.ts'
import { drain } from '../limits/drain.ts'
import type { Operation } from '../limits/operations.ts'
import type { Admitted } from './admit.ts'

/** A POST that was let in, as it came from the client. */
export interface Post {
  operation: Operation
  admitted: Admitted
  body: Readable
  gzip: boolean
}

/** A body as git reads it: unpacked, within its limit, and through the host's stage. */
export interface Opened {
  /** The one that came, when there is nothing to do. */
  body: Readable
  /** The host has a stage in it. */
  isStaged: boolean
}

/** Asks the host for its stage and unpacks the body. The operation owns both; the body as it came stays the connection's. */
export function openBody ({ options: { hooks } }: Context, request: FastifyRequest, { operation, admitted, body: sent, gzip }: Post, limit: ByteLimit | null = null): Opened {
  const stage = hooks.transformRequest?.(admitted.operation, request) ?? null
  const body = unpack(sent, { gzip, stage, limit })
  if (stage !== null) operation.keep(stage)
  if (body !== sent) operation.keep(body)
  return { body, isStaged: stage !== null }
}

/** Reads what the client still sends, up to `limit` bytes, so that it reads the answer. It is for nobody: neither unpacked nor shown to the host's stage. */
export async function discardBody (request: FastifyRequest, limit?: number): Promise<void> {
  await drain((request.body ?? request.raw) as Readable, limit)
}
