import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { isOurs } from '../errors.ts'
import { neverCache } from './headers.ts'
import { discardBody } from './open-body.ts'

/** Seconds after which a client may try again what the server could not do now. */
const RETRY_AFTER = 5

/** Answers after which nobody waits for the rest of the body. HTTP/2 has no such header, and no need of it. */
const HANGS_UP = ['FST_GIT_IDLE_TIMEOUT', 'FST_GIT_CLOSING']

type Refusal = FastifyError & { headers?: Record<string, string>, allow?: string, retryAfter?: number }

/**
 * Builds the error handler of the plugin's scope: errors of ours become a status and a text that git prints,
 * any other error goes on to the host's handler.
 */
export function createRefusal (realm: string): (error: Refusal, request: FastifyRequest, reply: FastifyReply) => void {
  return (error, request, reply) => {
    discardBody(request)
    if (!isOurs(error)) throw error
    const status = error.statusCode ?? 500
    // A flood must not flood the log with errors as well.
    if (status >= 500) request.log[error.code === 'FST_GIT_BUSY' ? 'warn' : 'error']({ err: error.cause ?? error, code: error.code }, 'git request failed')
    if (status === 401) reply.header('www-authenticate', `Basic realm="${realm}", charset="UTF-8"`)
    if (HANGS_UP.includes(error.code) && request.raw.httpVersionMajor < 2) reply.header('connection', 'close')
    if (status === 503) reply.header('retry-after', String(error.retryAfter ?? RETRY_AFTER))
    if (error.allow !== undefined) reply.header('allow', error.allow)
    for (const [name, value] of Object.entries(error.headers ?? {})) reply.header(name, value)
    neverCache(reply, false)
    const text = status >= 500 && status !== 503 ? `${error.message} (request ${request.id})` : error.message
    reply.code(status).type('text/plain; charset=utf-8').send(`${text}\n`)
  }
}
