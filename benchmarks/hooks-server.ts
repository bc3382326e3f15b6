/** The server under measurement, in a process of its own: `hooks-server.ts ROOT none|decide|all` prints its port. */
import { PassThrough } from 'node:stream'
import Fastify from 'fastify'
import gitHttp, { type GitHttpHooks } from '../lib/index.ts'

const nothing = (): void => {}
const decide: GitHttpHooks = { onFetch: nothing, onPush: nothing, preReceive: nothing, postReceive: nothing, onFinish: nothing }
const HOOKS: Record<string, GitHttpHooks> = {
  none: {},
  decide,
  all: { ...decide, transformRequest: () => new PassThrough(), transformResponse: () => new PassThrough() }
}

const app = Fastify()
await app.register(gitHttp, { root: process.argv[2] as string, publicWrite: true, hooks: HOOKS[process.argv[3] as string] as GitHttpHooks })
await app.listen({ port: 0, host: '127.0.0.1' })
process.stdout.write(`${(app.addresses()[0] as { port: number }).port}\n`)
process.on('SIGTERM', () => { app.close().then(() => process.exit(0)) })
