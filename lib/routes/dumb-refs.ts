import { pipeline } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Asker } from '../answers/discovery.ts'
import { startInTurn, type Context } from '../context.ts'
import { capture } from '../git/capture.ts'
import type { Operation } from '../limits/operations.ts'
import { DumbListing } from '../protocol/dumb-listing.ts'
import { namespacePrefix } from '../protocol/namespace.ts'
import { admit, type Admitted } from './admit.ts'
import { targetOf, type Family } from './families.ts'
import { neverCache } from './headers.ts'
import { askerOf, runService } from './run-service.ts'

/** An object name and a ref name. */
const HEAD_LIMIT = 16_384

/** GET info/refs without a service: every ref, computed, so that `git update-server-info` never has to run. */
export async function dumbInfoRefs (context: Context, operation: Operation, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const admitted = await admitDumb(context, operation, request, reply, 'info-refs')
  neverCache(reply, admitted.private)
  reply.header('content-type', 'text/plain')
  if (request.method === 'HEAD') return reply.send()
  const answer = await runService(context, request, {
    operation,
    admitted,
    args: [`--git-dir=${admitted.repository.directory}`, 'show-ref', '--dereference'],
    body: null,
    prefix: null,
    emptyExit: 1
  })
  return reply.send(operation.keep(pipeline(answer, new DumbListing(namespacePrefix(admitted.namespace)), () => {})))
}

/**
 * GET HEAD as http-backend.c's get_head() computes it: the file itself would be wrong for a reftable repository and
 * for a namespace. Empty while the branch is unborn.
 */
export async function head (context: Context, operation: Operation, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const admitted = await admitDumb(context, operation, request, reply, 'head')
  if (admitted.private) neverCache(reply, true)
  return reply.header('content-type', 'text/plain').send(await resolveHead(context, admitted, askerOf(operation, request, admitted)))
}

async function resolveHead (context: Context, { repository, environment, namespace }: Admitted, asker: Asker): Promise<string> {
  const prefix = namespacePrefix(namespace)
  const name = `${prefix}HEAD`
  const args = [`--git-dir=${repository.directory}`, 'rev-parse', name, '--symbolic-full-name', name]
  const { code, stdout } = await capture(await startInTurn(context, repository, asker, args, environment, { input: false }), HEAD_LIMIT)
  const [id = '', target = ''] = stdout.split('\n')
  if (code !== 0) return ''
  // A detached HEAD is its own full name.
  return target === name ? `${id}\n` : `ref: ${target.slice(prefix.length)}\n`
}

async function admitDumb (context: Context, operation: Operation, request: FastifyRequest, reply: FastifyReply, family: Family): Promise<Admitted> {
  return await admit(context, operation, request, reply, { path: targetOf(request, family).repository, service: 'dumb', phase: 'file' })
}
