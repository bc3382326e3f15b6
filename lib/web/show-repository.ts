import { basename } from 'node:path'
import type { FastifyReply } from 'fastify'
import { real } from '../repository/git-directory.ts'
import { cloneLine } from './clone-line.ts'
import type { Show, Visit, WebContext } from './context.ts'
import { repositoryPage } from './pages/repository.ts'
import { sendPage } from './reply.ts'
import { notFound } from './say.ts'
import { cloneBase } from './site.ts'
import { readDescription } from './summary.ts'
import { within } from './within.ts'

/** Milliseconds that a page waits for git; what is not known by then is left out. */
const PATIENCE = 5_000

/** `/<repository>/`, under the one name that it has. */
export const showRepository: Show = async (context, visit) => {
  const { '*': path = '' } = visit.request.params as { '*'?: string }
  return await showOne(context, visit, path)
}

/** `path` is what follows the prefix in the URL, decoded. */
export async function showOne (context: WebContext, visit: Visit, path: string): Promise<FastifyReply> {
  const { options, site, locate } = context
  const { request, reply, user } = visit
  const { name, repository } = await locate(path.replace(/\/$/, ''), request)
  // Nothing is said of the repository before this.
  if (repository === null || !await options.canRead(name, repository.directory, request)) return notFound(context, visit)
  // Git's suffix rules let it have several names, and relative addresses need the slash.
  if (path !== (name === '' ? '' : `${name}/`)) return reply.redirect(site.links.repository(name))
  const [description, figures, contents, canPush, root] = await Promise.all([
    readDescription(repository),
    within(context.readFigures(repository), PATIENCE),
    within(context.readContents(repository), PATIENCE),
    options.canPush(name, repository.directory, request),
    real(options.root)
  ])
  const base = cloneBase(request, site.links.home, options.url)
  return sendPage(request, reply, repositoryPage(site, user, {
    name,
    description,
    figures,
    contents,
    clone: cloneLine(base, name, basename(root ?? '')),
    base,
    canPush,
    isWorkingCopy: basename(repository.directory) === '.git' || repository.directory !== repository.common
  }))
}
