import fastifyBasicAuth from '@fastify/basic-auth'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { BadCredentialsError, InternalError, isOurs } from '../errors.ts'
import type { Authenticate } from '../operation.ts'

/** Answers the verified user of a request's Basic credentials, or null when it carries none. */
export type Identify = (request: FastifyRequest, reply: FastifyReply) => Promise<string | null>

/** Controls and what is left of bytes that are not UTF-8: in a name they would forge log lines and identities. */
const UNCLEAN = /[\p{Cc}\ufffd]/u

/**
 * Registers @fastify/basic-auth in `scope` and builds {@link Identify}. Credentials are checked whenever they are
 * sent, also where an anonymous client would pass: a wrong password must never look right.
 * Without `authenticate` the header is left to the host's `authorize`.
 *
 * @throws BadCredentialsError (from the returned function) for malformed or wrong credentials.
 */
export async function createIdentify (scope: FastifyInstance, authenticate: Authenticate | undefined): Promise<Identify> {
  if (authenticate === undefined) return async () => null
  const verified = new WeakMap<FastifyRequest, string>()

  await scope.register(fastifyBasicAuth, {
    validate: async (username, password, request) => {
      if (UNCLEAN.test(username) || password.includes('\ufffd')) throw new BadCredentialsError()
      const user = await call(authenticate, username, password, request)
      if (user === null) throw new BadCredentialsError()
      verified.set(request, user)
    }
  })

  return async (request, reply) => {
    if (!/^basic(?:\s|$)/i.test(request.headers.authorization ?? '')) return null
    await new Promise<void>((resolve, reject) => {
      scope.basicAuth(request, reply, (error) => {
        if (error === undefined) resolve()
        // The plugin's own complaints about a malformed header say no more than this.
        else reject(isOurs(error) ? error : new BadCredentialsError())
      })
    })
    return verified.get(request) ?? null
  }
}

async function call (authenticate: Authenticate, username: string, password: string, request: FastifyRequest): Promise<string | null> {
  try {
    const user = await authenticate({ username, password }, request)
    // undefined is what a function without a return answers: nobody.
    return typeof user === 'string' && user !== '' && !UNCLEAN.test(user) ? user : null
  } catch (cause) {
    if (isOurs(cause)) throw cause
    throw Object.assign(new InternalError(), { cause })
  }
}
