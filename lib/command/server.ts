import { readFile, stat } from 'node:fs/promises'
import { createServer, type Server as HttpServer } from 'node:http'
import { createSecureServer, type ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { createSecureContext } from 'node:tls'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyServerOptions } from 'fastify'
import gitHttp, { web } from '../index.ts'
import type { ServeSettings } from './arguments.ts'
import { Failure, fileFailure } from './failure.ts'

/** Longer than the 60 s after which common proxies drop an idle connection, so that none is closed under a request. */
const KEEP_ALIVE = 72_000
/** Milliseconds for a request's headers. */
const HEADERS = 60_000
/** Milliseconds that connections get to end by themselves after the last transfer. */
const LINGER = 5_000

/**
 * A Fastify for `settings` that does not listen yet.
 *
 * @throws Failure when a folder or file cannot be used; AccessFileError when the access file is wrong.
 */
export async function createApp (settings: ServeSettings, log: FastifyBaseLogger): Promise<FastifyInstance> {
  await requireFolder(settings.root)
  const tls = settings.tls === undefined ? undefined : await readTls(settings.tls)
  const connections = new Connections()
  const app = Fastify({
    loggerInstance: log,
    // One proxy: the address that it saw. Further to the left in X-Forwarded-For stands what clients claim.
    trustProxy: settings.trustProxy && ((_address: string, hop: number) => hop === 0),
    ...(tls === undefined ? {} : { http2: true, https: tls }),
    serverFactory: (handler: () => void) => connections.watch(createListener(handler, tls))
  } as unknown as FastifyServerOptions) as FastifyInstance
  app.setNotFoundHandler(async (_request, reply) =>
    await reply.code(404).type('text/plain; charset=utf-8').send('Nothing to see here: this server speaks to git\n'))
  await app.register(gitHttp, {
    root: settings.root,
    prefix: settings.prefix,
    accessFile: settings.accessFile,
    realm: settings.realm,
    publicWrite: settings.allowPush
  })
  if (settings.web) {
    const { root, prefix } = settings
    await app.register(web, { ...app.gitHttp.pages(prefix), prefix, root })
  }
  // Only behind the transfers in flight; not awaited, because Fastify gives preClose hooks no more than its pluginTimeout.
  app.addHook('preClose', async () => { app.gitHttp.drain().then(() => connections.end()) })
  return app
}

/**
 * Node's request timeout would cut long pushes, and its HTTP/2 server has one for HTTP/1 clients that Fastify
 * does not lift. Without it, the headers' timeout has to be named.
 */
function createListener (handler: () => void, tls: { cert: Buffer, key: Buffer } | undefined): HttpServer {
  const server = tls === undefined
    ? createServer({}, handler)
    : createSecureServer({ ...tls, allowHTTP1: true }, handler) as unknown as HttpServer
  return Object.assign(server, { requestTimeout: 0, headersTimeout: HEADERS, keepAliveTimeout: KEEP_ALIVE })
}

/** What is connected, so that a client that says nothing more cannot keep a server from closing. */
class Connections {
  readonly #sockets = new Set<Socket>()
  readonly #sessions = new Set<ServerHttp2Session>()

  watch (server: HttpServer): HttpServer {
    server.on('connection', (socket: Socket) => keep(this.#sockets, socket))
    server.on('session', (session: ServerHttp2Session) => keep(this.#sessions, session))
    return server
  }

  /** HTTP/2 sessions end after their streams. Sockets that are open even then are cut. */
  end (): void {
    for (const session of this.#sessions) session.close()
    setTimeout(() => { for (const socket of this.#sockets) socket.destroy() }, LINGER).unref()
  }
}

function keep<T extends Socket | ServerHttp2Session> (set: Set<T>, item: T): void {
  set.add(item)
  item.once('close', () => set.delete(item))
}

async function requireFolder (root: string): Promise<void> {
  const info = await stat(root).catch((error) => { throw fileFailure('--root', root, error) })
  if (!info.isDirectory()) throw new Failure(`--root: ${root} is not a folder`)
}

async function readTls (files: { cert: string, key: string }): Promise<{ cert: Buffer, key: Buffer }> {
  const cert = await readFile(files.cert).catch((error) => { throw fileFailure('--tls-cert', files.cert, error) })
  const key = await readFile(files.key).catch((error) => { throw fileFailure('--tls-key', files.key, error) })
  try {
    createSecureContext({ cert, key })
  } catch (error) {
    throw new Failure(`--tls-cert and --tls-key cannot be used together: ${(error as Error).message}`)
  }
  return { cert, key }
}
