import type { FastifyReply } from 'fastify'
import { addVary } from './send-answer.ts'

/** Seconds for which git-http-backend lets immutable files be kept (http-backend.c, hdr_cache_forever). */
const FOREVER = 31_536_000

/** http-backend.c, hdr_nocache: advertisements, answers and everything that refs decide. */
export function neverCache (reply: FastifyReply, isPrivate: boolean): void {
  reply.header('expires', 'Fri, 01 Jan 1980 00:00:00 GMT')
  reply.header('pragma', 'no-cache')
  reply.header('cache-control', `${isPrivate ? 'private, ' : ''}no-cache, max-age=0, must-revalidate`)
  if (isPrivate) addVary(reply, 'Authorization')
}

/** http-backend.c, hdr_cache_forever: objects and packs never change under their name. */
export function cacheForever (reply: FastifyReply, isPrivate: boolean): void {
  const now = Date.now()
  reply.header('date', new Date(now).toUTCString())
  reply.header('expires', new Date(now + FOREVER * 1000).toUTCString())
  reply.header('cache-control', `${isPrivate ? 'private' : 'public'}, max-age=${FOREVER}`)
  if (isPrivate) addVary(reply, 'Authorization')
}
