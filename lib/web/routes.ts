import type { FastifyInstance } from 'fastify'
import { ICON } from './icon.ts'
import type { Show, WebContext } from './context.ts'
import { protect, sendAsset } from './reply.ts'
import { say } from './say.ts'
import { SCRIPT } from './script.ts'
import { showHome } from './show-home.ts'
import { login, logout } from './show-login.ts'
import { showRepository } from './show-repository.ts'
import { sendEvents, showStatus } from './show-status.ts'
import { STYLESHEET } from './stylesheet.ts'

/** The whole interface at a glance. git's own URLs never come here: their routes have a constraint (routes/families.ts). */
const PAGES: Record<string, Show> = {
  '/': showHome,
  '/-/login': login,
  '/-/logout': logout,
  '/-/status': showStatus,
  '/-/events': sendEvents,
  '/*': showRepository
}
const FILES: Record<string, [type: string, text: string]> = {
  '/-/style.css': ['text/css', STYLESHEET],
  '/-/script.js': ['text/javascript', SCRIPT],
  '/-/icon.svg': ['image/svg+xml', ICON]
}

export function registerPages (fastify: FastifyInstance, context: WebContext): void {
  fastify.addHook('onRequest', async (_request, reply) => protect(reply))

  fastify.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
    const status = error.statusCode ?? 500
    if (status >= 500) request.log.error({ err: error.cause ?? error }, 'a page failed')
    say(context, { request, reply, user: null }, status)
  })

  for (const [url, show] of Object.entries(PAGES)) {
    fastify.route({
      url,
      method: ['GET', 'HEAD'],
      exposeHeadRoute: false,
      handler: async (request, reply) => await show(context, { request, reply, user: await context.options.user(request, reply) })
    })
  }
  for (const [url, [type, text]] of Object.entries(FILES)) {
    fastify.route({ url, method: ['GET', 'HEAD'], exposeHeadRoute: false, handler: async (request, reply) => sendAsset(request, reply, type, text) })
  }
}
