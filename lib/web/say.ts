import type { FastifyReply } from 'fastify'
import type { Visit, WebContext } from './context.ts'
import { messagePage } from './pages/message.ts'
import { sendPage } from './reply.ts'

const MESSAGES: Record<number, [title: string, text: string]> = {
  400: ['Not understood', 'This address means nothing here.'],
  401: ['Log in', 'The user name or the password was wrong, or none was given.'],
  404: ['Not found', 'There is nothing here that you can see.'],
  503: ['Busy', 'The server has too much to do. Try again in a moment.']
}
const FAILED: [title: string, text: string] = ['Something went wrong', 'The server could not make this page.']

/** Answers with a page that says no more than its status; `message` replaces its text. */
export function say ({ options, site }: WebContext, { request, reply, user }: Visit, status: number, message: [title: string, text: string] = MESSAGES[status] ?? FAILED): FastifyReply {
  if (status === 401) reply.header('www-authenticate', `Basic realm="${options.realm}", charset="UTF-8"`)
  if (status === 503) reply.header('retry-after', '5')
  return sendPage(request, reply.code(status), messagePage(site, user, ...message))
}

/** There is no such page, or this visitor must not learn that there is one: the same words for both. */
export function notFound (context: WebContext, visit: Visit): FastifyReply {
  return say(context, visit, 404)
}
