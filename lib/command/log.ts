import { LogController, type FastifyBaseLogger, type FastifyReply, type FastifyRequest } from 'fastify'
import { pino, stdSerializers } from 'pino'
import pretty from 'pino-pretty'
import { MESSAGE, type LogFields } from '../status/log-line.ts'
import { formatBytes, formatDuration } from '../web/format.ts'
import { isHealth } from './health.ts'

const STDERR = 2

/** The log of the command, on stderr: readable on a terminal, JSON elsewhere. Nothing in it is a credential. */
export function createLog (level: string, terminal: boolean, bindings: object = {}): FastifyBaseLogger {
  const stream = terminal
    ? pretty({ destination: STDERR, sync: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss', singleLine: true })
    : pino.destination({ dest: STDERR, sync: true })
  const hooks = terminal ? { logMethod: readable } : {}
  return pino({ level, hooks, serializers: { req: serializeRequest, err: serializeError } }, stream).child(bindings)
}

/** Leaves Fastify's own two lines out where the plugin tells the end of the operation, and those of whoever asks for our health. */
export class CommandLog extends LogController {
  override incomingRequest (request: FastifyRequest, reply: FastifyReply, metadata?: Record<string, unknown>): void {
    if (!isTold(request)) super.incomingRequest(request, reply, metadata)
  }

  override requestCompleted (error: Error | null | undefined, request: FastifyRequest, reply: FastifyReply, metadata?: Record<string, unknown>): void {
    if (error != null || !isTold(request)) super.requestCompleted(error, request, reply, metadata)
  }
}

function isTold (request: FastifyRequest): boolean {
  return request.routeOptions.config.gitOperation === true || isHealth(request.url)
}

/** One line of words for an operation. */
function readable (this: object, parameters: unknown[], method: (...parameters: any[]) => void): void {
  if (parameters[1] === MESSAGE) method.call(this, operationText(parameters[0] as LogFields))
  else method.apply(this, parameters)
}

export function operationText ({ service, phase, repository, user, outcome, status, code, bytesIn, bytesOut, duration, cache, refs }: LogFields): string {
  const words = [
    service === null ? 'git' : phase === 'advertise' ? `${service} (refs)` : service,
    repository === null ? null : printable(repository),
    user === null ? null : `by ${printable(user)}`,
    outcome,
    code ?? (status === 200 ? null : String(status)),
    refs === 0 ? null : `${refs} ${refs === 1 ? 'ref' : 'refs'}`,
    `in ${formatBytes(bytesIn)}, out ${formatBytes(bytesOut)}, ${duration < 1000 ? `${Math.round(duration)} ms` : formatDuration(duration)}`,
    cache === null ? null : `(${cache})`
  ]
  // pino takes a % for a place of a parameter.
  return words.filter((word) => word !== null).join(' ').replaceAll('%', '%%')
}

/** What a client chose must not move the cursor. */
function printable (text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd')
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
