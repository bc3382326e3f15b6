import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { pino, stdSerializers } from 'pino'
import pretty from 'pino-pretty'

const STDERR = 2

/** The log of the command, on stderr: readable on a terminal, JSON elsewhere. Nothing in it is a credential. */
export function createLog (level: string, terminal: boolean): FastifyBaseLogger {
  const stream = terminal
    ? pretty({ destination: STDERR, sync: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss' })
    : pino.destination({ dest: STDERR, sync: true })
  return pino({ level, serializers: { req: serializeRequest, err: serializeError } }, stream)
}

function serializeRequest (request: FastifyRequest): object {
  return {
    method: request.method,
    url: withoutUserInfo(request.url),
    host: request.host?.replace(/^.*@/s, ''),
    remoteAddress: request.ip,
    remotePort: request.socket?.remotePort
  }
}

/**
 * A request target without the user info that an absolute one may carry (RFC 9112, section 3.2.2). It is not parsed:
 * in a malformed one a password may hold anything, so that nothing before the last @ is kept.
 */
export function withoutUserInfo (target: string): string {
  return target.replace(/^((?:[a-z][a-z0-9+.-]*:)?\/\/).*@/is, '$1')
}

/** An error of the HTTP parser holds the bytes that it failed at, the Authorization header among them. */
function serializeError (error: Error): object {
  const { rawPacket, ...rest } = stdSerializers.err(error)
  return rest
}
