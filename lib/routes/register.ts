import type { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify'
import type { Context } from '../context.ts'
import { InternalError, isOurs, MethodNotAllowedError } from '../errors.ts'
import type { Operation } from '../limits/operations.ts'
import { OperationRecord } from '../limits/record.ts'
import { head } from './dumb-refs.ts'
import { CONSTRAINT, type Family } from './families.ts'
import { infoRefs } from './info-refs.ts'
import { objects } from './objects.ts'
import { createRefusal } from './refusal.ts'
import { rpc } from './rpc.ts'

type Handler = (context: Context, operation: Operation, request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>

/** The whole protocol at a glance. */
const TABLE: Array<{ family: Family, methods: HTTPMethods[], handler: Handler }> = [
  { family: 'info-refs', methods: ['GET', 'HEAD'], handler: infoRefs },
  { family: 'rpc', methods: ['POST'], handler: rpc },
  { family: 'head', methods: ['GET', 'HEAD'], handler: head },
  { family: 'objects', methods: ['GET', 'HEAD'], handler: objects }
]

/** The longest delay that a timer takes, in milliseconds. */
const NEVER = 2 ** 31 - 1

/** Registers the four families, and 405 for every other method of their URLs. */
export function registerRoutes (scope: FastifyInstance, context: Context): void {
  scope.setErrorHandler(createRefusal(context.options.realm))
  // Bodies are git's: no parser reads them, the ones of the host included.
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  // A server-wide handlerTimeout would cut transfers that have long started.
  const timeout = hasHandlerTimeout(scope) ? { handlerTimeout: NEVER } : {}

  for (const { family, methods, handler } of TABLE) {
    const route = { url: '/*', constraints: { [CONSTRAINT]: family }, exposeHeadRoute: false, ...timeout }
    scope.route({
      ...route,
      method: methods,
      config: { gitOperation: true },
      handler: async (request, reply) => {
        const record = new OperationRecord(request.id, reply.raw, request.log)
        record.address = request.ip
        record.contentLength = () => reply.getHeader('content-length')
        const operation = context.operations.begin(reply.raw, record)
        record.count((request.body ?? request.raw) as Readable)
        // Node looks for a listener before it emits an error of a body, and emits it a turn later: whoever listened may have gone.
        request.raw.on('error', () => {})
        try {
          return await handler(context, operation, request, reply)
        } catch (error) {
          operation.dispose()
          // The client has gone: what failed, failed because of that, and there is nobody to be told.
          if (operation.isClosed) return reply.hijack()
          record.fail(error)
          throw ownError(error)
        } finally {
          operation.handled()
        }
      }
    })
    const others = scope.supportedMethods.filter((method) => !methods.includes(method as HTTPMethods)) as HTTPMethods[]
    const allow = methods.join(', ')
    scope.route({
      ...route,
      method: others,
      handler: async () => { throw Object.assign(new MethodNotAllowedError(allow), { allow }) }
    })
  }
}

function hasHandlerTimeout ({ initialConfig }: FastifyInstance): boolean {
  return 'handlerTimeout' in initialConfig && Number(initialConfig.handlerTimeout) > 0
}

/** Whatever fails behind our routes is answered by us: a system error's message names paths. */
function ownError (error: unknown): unknown {
  return isOurs(error) ? error : Object.assign(new InternalError(), { cause: error })
}
