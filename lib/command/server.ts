import { readFile, stat } from 'node:fs/promises'
import { createServer, type Server as HttpServer } from 'node:http'
import { createSecureServer, type ServerHttp2Session } from 'node:http2'
import { Server as NetServer, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { createSecureContext } from 'node:tls'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyServerOptions } from 'fastify'
import gitHttp, { web, type MetricsRegistry } from '../index.ts'
import type { StatusSource } from '../web/status-source.ts'
import type { ServeSettings } from './arguments.ts'
import { Failure, fileFailure } from './failure.ts'
import { registerHealth } from './health.ts'
import { CommandLog } from './log.ts'
import { share } from './share.ts'

/** Longer than the 60 s after which common proxies drop an idle connection, so that none is closed under a request. */
const KEEP_ALIVE = 72_000
/** Milliseconds for a request's headers. */
const HEADERS = 60_000
/** How long those who are in may stay while others are let in elsewhere, in milliseconds. */
export interface Parting {
  /**
   * Whatever they do: a client may be between two requests of one clone, and a proxy may send one on a connection that has been
   * idle for less than `KEEP_ALIVE`. A browser watches the status page for ever.
   */
  anyone: number
  /** While git's answers and pushes are in flight. */
  transfers: number
}

const PARTING: Parting = { anyone: KEEP_ALIVE + 3_000, transfers: 3_600_000 }
/** Milliseconds between two looks at who is there. */
const PARTING_INTERVAL = 200
/** Milliseconds that connections get to end by themselves after the last transfer. */
const LINGER = 5_000

/** What depends on the process that serves. */
export interface Surroundings {
  log: FastifyBaseLogger
  register?: MetricsRegistry | undefined
  /** One of several processes. */
  worker?: {
    id: number
    /** How many there are. */
    count: number
    /** Makes of this process's figures those of all. */
    all: (own: StatusSource) => StatusSource
  }
}

export interface Served {
  /** Does not listen yet. */
  app: FastifyInstance
  /** Lets nobody in any more, and answers those who are in for as long as they stay, within bounds. */
  leave: (parting?: Parting) => Promise<void>
}

/**
 * A Fastify for `settings` that does not listen yet.
 *
 * @throws Failure when a folder or file cannot be used; AccessFileError when the access file is wrong.
 */
export async function createApp (settings: ServeSettings, { log, register, worker }: Surroundings): Promise<Served> {
  await requireFolder(settings.root)
  const tls = settings.tls === undefined ? undefined : await readTls(settings.tls)
  const connections = new Connections()
  const app = Fastify({
    loggerInstance: log,
    logController: new CommandLog(),
    ...(worker === undefined ? {} : { genReqId: requestIds(worker.id) }),
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
    publicWrite: settings.allowPush,
    metrics: register === undefined ? undefined : { register },
    ...(worker === undefined ? {} : share(worker.count))
  })
  registerHealth(app)
  if (settings.web) {
    const { root, prefix } = settings
    const own = app.gitHttp.status()
    await app.register(web, { ...app.gitHttp.pages(prefix), prefix, root, status: worker?.all(own) ?? own })
  }
  // Only behind the transfers in flight; not awaited, because Fastify gives preClose hooks no more than its pluginTimeout.
  app.addHook('preClose', async () => { app.gitHttp.drain().then(() => connections.end()) })
  app.addHook('onSend', async (request, reply) => {
    if (connections.isLeaving && request.raw.httpVersionMajor < 2) reply.header('connection', 'close')
  })
  return { app, leave: async (parting = PARTING) => await connections.leave(parting, () => app.gitHttp.active > 0) }
}

/** Ids that no other process gives. */
function requestIds (worker: number): () => string {
  let last = 0
  return () => `req-${worker}-${(++last).toString(36)}`
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
  /** Several where a name has several addresses. */
  readonly #servers = new Set<HttpServer>()
  isLeaving = false

  watch (server: HttpServer): HttpServer {
    this.#servers.add(server)
    server.on('connection', (socket: Socket) => keep(this.#sockets, socket))
    server.on('session', (session: ServerHttp2Session) => keep(this.#sessions, session))
    return server
  }

  /** Resolves when nobody is connected any more. */
  async leave ({ anyone, transfers }: Parting, isTransferring: () => boolean): Promise<void> {
    this.isLeaving = true
    // Node's own close of an HTTP server cuts idle connections, on which a proxy may just have sent a request.
    for (const server of this.#servers) NetServer.prototype.close.call(server)
    for (const session of this.#sessions) session.close()
    const begun = performance.now()
    while (this.#sockets.size > 0 && performance.now() - begun < (isTransferring() ? transfers : anyone)) {
      await delay(PARTING_INTERVAL)
    }
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
