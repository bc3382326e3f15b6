import type { FastifyRequest } from 'fastify'
import type { Show, Visit, WebContext } from './context.ts'
import { statusPage } from './pages/status.ts'
import { sendPage } from './reply.ts'
import { notFound, say } from './say.ts'
import { statusView, type StatusView } from './status-view.ts'
import type { OperationStatus } from './status-source.ts'
import type { View } from './status-events.ts'

/** Milliseconds for which somebody who watches may still see a repository that was just closed to them. */
const RIGHTS = 5_000
/** Operations that are looked through for those that a visitor may see. */
const MAX_EXAMINED = 500

/** The page, with the figures of this moment. */
export const showStatus: Show = async (context, visit) => {
  const { status } = context.options
  if (status === undefined) return notFound(context, visit)
  const view = await viewOf(context, visit)(status.snapshot(), { in: 0, out: 0 })
  return sendPage(visit.request, visit.reply, statusPage(context.site, visit.user, view))
}

/** The figures from now on. */
export const sendEvents: Show = async (context, visit) => {
  const { events } = context
  const { request, reply } = visit
  if (events === null) return notFound(context, visit)
  reply.header('cache-control', 'no-store, private').header('x-accel-buffering', 'no').header('content-type', 'text/event-stream')
  if (request.method === 'HEAD') return reply.send()
  const stream = events.open(viewOf(context, visit))
  return stream === null ? say(context, visit, 503) : reply.send(stream)
}

/** What this visitor is told of a snapshot. */
function viewOf ({ options, site, locate }: WebContext, { request, user }: Visit): (...parameters: Parameters<View>) => Promise<StatusView> {
  const rights = new Map<string, { until: number, readable: Promise<boolean> }>()

  return async (snapshot, rates) => {
    const examined = snapshot.operations.slice(0, MAX_EXAMINED)
    const readable = await Promise.all(examined.map(({ repository }) => mayRead(repository)))
    for (const [repository, { until }] of rights) if (until < performance.now()) rights.delete(repository)
    const operations: OperationStatus[] = examined.filter((_, i) => readable[i])
    return statusView(snapshot, rates, operations, user, site.links)
  }

  function mayRead (repository: string): Promise<boolean> {
    const known = rights.get(repository)
    if (known !== undefined && known.until > performance.now()) return known.readable
    const readable = ask(repository, request)
    rights.set(repository, { until: performance.now() + RIGHTS, readable })
    return readable
  }

  async function ask (name: string, request: FastifyRequest): Promise<boolean> {
    const { repository } = await locate(name, request)
    return repository !== null && await options.canRead(name, repository.directory, request)
  }
}
