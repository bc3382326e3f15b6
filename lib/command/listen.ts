import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { Failure } from './failure.ts'

/** How a system without IPv6 answers. */
const NO_IPV6 = ['EAFNOSUPPORT', 'EADDRNOTAVAIL']

/**
 * Listens on `host`, or on all interfaces: IPv6 and IPv4, and IPv4 alone where there is no IPv6. Answers the port.
 *
 * @throws Failure when the port is in use or the address is none of this machine's.
 */
export async function listen (app: Pick<FastifyInstance, 'listen' | 'server'>, port: number, host: string | undefined): Promise<number> {
  try {
    if (host !== undefined) await app.listen({ port, host })
    else await listenEverywhere(app, port)
  } catch (error) {
    throw listenFailure(error, port, host)
  }
  return (app.server.address() as AddressInfo).port
}

async function listenEverywhere (app: Pick<FastifyInstance, 'listen'>, port: number): Promise<void> {
  try {
    await app.listen({ port, host: '::' })
  } catch (error) {
    if (!NO_IPV6.includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    await app.listen({ port, host: '0.0.0.0' })
  }
}

/** `option`: what stands before `port` and `host` in the names of the options. */
export function listenFailure (error: unknown, port: number, host: string | undefined, option: '' | 'metrics-' = ''): unknown {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE': return new Failure(`port ${port} is in use; choose another one with --${option}port`)
    case 'EACCES': return new Failure(`port ${port} may not be used by this user; choose one from 1024 with --${option}port`)
    case 'EADDRNOTAVAIL': return new Failure(`--${option}host: ${host} is no address of this machine`)
    case 'ENOTFOUND': case 'EAI_AGAIN': return new Failure(`--${option}host: ${host} was not found`)
    default: return error
  }
}
