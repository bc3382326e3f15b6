import { join } from 'node:path'
import send from '@fastify/send'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Context } from '../context.ts'
import { FileNotFoundError, RangeNotSatisfiableError } from '../errors.ts'
import type { Operation } from '../limits/operations.ts'
import { isInside, real } from '../repository/git-directory.ts'
import { listPacks } from '../repository/pack-listing.ts'
import { admit } from './admit.ts'
import { targetOf } from './families.ts'
import { cacheForever, neverCache } from './headers.ts'

/** Bytes read from a file at once. */
const READ_SIZE = 256 * 1024

/** GET objects/...: the files that dumb clients walk (http-protocol(5), "Dumb Clients"), with Range so that git can resume a pack. */
export async function objects (context: Context, operation: Operation, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { repository: path, name } = targetOf(request, 'objects')
  const admitted = await admit(context, operation, request, reply, { path, service: 'dumb', phase: 'file' })
  const folder = join(admitted.repository.common, 'objects')
  if (name === 'info/packs') {
    neverCache(reply, admitted.private)
    return reply.type('text/plain; charset=utf-8').send(await listPacks(folder))
  }
  // It names folders of the server; http-alternates is the one meant for clients.
  if (name === 'info/alternates') throw new FileNotFoundError()
  await requireInside(context, join(folder, name))
  return await sendFile(operation, folder, name, request, reply, admitted.private)
}

async function sendFile (operation: Operation, folder: string, name: string, request: FastifyRequest, reply: FastifyReply, isPrivate: boolean): Promise<FastifyReply> {
  const result = await send(request.raw, `/${name}`, {
    root: folder, cacheControl: false, contentType: false, etag: false, index: false, highWaterMark: READ_SIZE
  })
  if (result.type !== 'file') {
    if (result.statusCode !== 416) throw new FileNotFoundError()
    const headers = { 'content-range': result.headers['Content-Range'] }
    throw Object.assign(new RangeNotSatisfiableError(), { headers })
  }
  if (name === 'info/http-alternates') neverCache(reply, isPrivate)
  else cacheForever(reply, isPrivate)
  // Not by type(): it would add a charset, and http-backend.c names none.
  return reply.code(result.statusCode).headers(result.headers).header('content-type', contentType(name)).send(operation.keep(result.stream))
}

/** A symlinked pack or object that leaves root is not there. */
async function requireInside ({ options }: Context, file: string): Promise<void> {
  const found = await real(file)
  const root = options.root === undefined ? null : await real(options.root)
  if (found === null || !isInside(root, found)) throw new FileNotFoundError()
}

/** The types of git's http-backend.c. */
function contentType (name: string): string {
  if (name.endsWith('.pack')) return 'application/x-git-packed-objects'
  if (name.endsWith('.idx')) return 'application/x-git-packed-objects-toc'
  return name.startsWith('info/') ? 'text/plain' : 'application/x-git-loose-object'
}
