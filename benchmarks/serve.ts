/** The server under measurement, in a process of its own: `serve.ts ROOT` prints its port. */
import Fastify from 'fastify'
import gitHttp from '../lib/index.ts'

const app = Fastify()
await app.register(gitHttp, { root: process.argv[2] as string, publicWrite: true })
await app.listen({ port: 0, host: '127.0.0.1' })
process.stdout.write(`${(app.addresses()[0] as { port: number }).port}\n`)
process.on('SIGTERM', () => { app.close().then(() => process.exit(0)) })
