import type { FastifyReply } from 'fastify'
import { repositorySegments } from '../repository/path.ts'
import type { Show, Visit, WebContext } from './context.ts'
import { notFound, say } from './say.ts'
import { queryOf } from './site.ts'

/**
 * Browsers send a password to the folder where they were asked for it and to all below (RFC 7617, section 2.2): to
 * know the user on every page, they have to be asked at the top.
 */
export const login: Show = async (context, visit) => {
  if (!context.site.login) return notFound(context, visit)
  const to = queryOf(visit.request).get('to')
  return visit.reply.redirect(`${context.site.links.home}?${new URLSearchParams({ login: '', ...(to === undefined ? {} : { to }) }).toString()}`)
}

/** The top, asked for with `?login`: a challenge, and back to where the visitor came from. */
export function loginAtTop (context: WebContext, visit: Visit): FastifyReply {
  if (visit.user === null) return say(context, visit, 401)
  const to = queryOf(visit.request).get('to') ?? ''
  // Only the name of a repository: nobody is sent elsewhere.
  return visit.reply.redirect(context.site.links.repository(repositorySegments(to) === null ? '' : to))
}

/** A browser drops a password that is refused; there is no other way to make it forget one. */
export const logout: Show = async (context, visit) => {
  if (visit.user === null) return visit.reply.redirect(context.site.links.home)
  return say(context, { ...visit, user: null }, 401, ['Logged out', 'Your browser has been told to forget your password. Should it still know you, close it.'])
}
