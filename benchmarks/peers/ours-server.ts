/** The plugin as users register it, with every option at its default but those given as JSON: `ours-server PORT ROOT [OPTIONS]`. */
import Fastify from 'fastify'
import gitHttp from '../../lib/index.ts'

const [port, root, options = '{}'] = process.argv.slice(2) as [string, string, string?]
const app = Fastify()
await app.register(gitHttp, { root, ...JSON.parse(options) })
await app.listen({ port: Number(port), host: '127.0.0.1' })
process.on('SIGTERM', () => { app.close().then(() => process.exit(0), () => process.exit(1)) })
