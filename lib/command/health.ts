import type { FastifyInstance } from 'fastify'

const [LIVE, READY] = ['/-/live', '/-/ready']
const TEXT = 'text/plain; charset=utf-8'

/** Whether somebody only asks how we are; that is no news. */
export function isHealth (url: string): boolean {
  return url === LIVE || url === READY
}

/**
 * For supervisors and load balancers, wherever the repositories are: `/-/live` while the process answers at all, `/-/ready` while it
 * takes new operations. No repository's name begins with a dash.
 */
export function registerHealth (app: FastifyInstance): void {
  app.get(LIVE, async (_request, reply) => await reply.header('cache-control', 'no-store').type(TEXT).send('live\n'))
  app.get(READY, async (_request, reply) => {
    const { draining } = app.gitHttp
    reply.code(draining ? 503 : 200).header('cache-control', 'no-store').type(TEXT)
    return await reply.send(draining ? 'draining\n' : 'ready\n')
  })
}
