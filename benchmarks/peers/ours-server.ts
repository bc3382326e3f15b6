/** The plugin as users register it, with every option at its default: `ours-server PORT ROOT`. */
import Fastify from 'fastify'
import gitHttp from '../../lib/index.ts'

const [port, root] = process.argv.slice(2) as [string, string]
const app = Fastify()
await app.register(gitHttp, { root })
await app.listen({ port: Number(port), host: '127.0.0.1' })
process.on('SIGTERM', () => { app.close().then(() => process.exit(0), () => process.exit(1)) })
