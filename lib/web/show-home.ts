import { basename } from 'node:path'
import { real } from '../repository/git-directory.ts'
import { cloneLine } from './clone-line.ts'
import type { Show, Visit, WebContext } from './context.ts'
import type { Entry } from './folders.ts'
import { cut } from './format.ts'
import { listPage, type Row } from './pages/list.ts'
import { sendPage } from './reply.ts'
import { select } from './select.ts'
import { loginAtTop } from './show-login.ts'
import { showOne } from './show-repository.ts'
import { cloneBase, queryOf } from './site.ts'
import { readDescription } from './summary.ts'
import { within } from './within.ts'

/** Milliseconds that a list waits for git; what is not known by then is left out. */
const PATIENCE = 2_000
/** Characters of a search. */
const QUERY = 200

/** The list of repositories; the one repository where root itself is it. */
export const showHome: Show = async (context, visit) => {
  const { request, reply } = visit
  const { site, folders } = context
  const query = queryOf(request)
  // Without the slash, the links of browsers and their passwords would be for the folder above.
  if (!(request.raw.url ?? '').replace(/\?.*/s, '').endsWith('/')) return reply.redirect(site.links.home)
  if (site.login && query.has('login')) return loginAtTop(context, visit)

  const { entries, complete } = await folders.current()
  if (entries.length === 1 && entries[0]?.name === '') return await showOne(context, visit, '')
  const wanted = { query: cut((query.get('q') ?? '').trim(), QUERY), after: query.get('after'), before: query.get('before') }
  const open = async (entry: Entry): Promise<Entry | null> => await isShown(context, visit, entry) ? entry : null
  const found = await select(entries, wanted, open)
  const rows = await rowsOf(context, visit, found.shown)
  return sendPage(request, reply, listPage(site, visit.user, {
    query: wanted.query,
    rows,
    first: !found.hasPrevious,
    previous: found.hasPrevious,
    next: found.hasNext,
    note: !complete
      ? 'The folder is large and not all of it has been looked at yet: there may be more. Reload in a moment.'
      : found.complete ? null : 'There may be more: search for a name to find them.'
  }))
}

async function isShown ({ options }: WebContext, { request }: Visit, { name, directory }: Entry): Promise<boolean> {
  return await options.canRead(name, directory, request)
}

/** Details of the repositories of one page, all asked for at once: who runs git bounds how many do. */
async function rowsOf (context: WebContext, { request }: Visit, entries: Entry[]): Promise<Row[]> {
  const { options, locate, readFigures } = context
  const base = cloneBase(request, context.site.links.home, options.url)
  const rootName = basename(await real(options.root) ?? '')
  const rows = await Promise.all(entries.map(async ({ name, directory }): Promise<Row | null> => {
    const { repository, name: canonical } = await locate(name, request)
    // The listing is told by names, and is a little older.
    if (repository === null || canonical !== name || repository.directory !== directory) return null
    const [description, figures] = await Promise.all([readDescription(repository), within(readFigures(repository), PATIENCE)])
    return { name, description, figures, clone: cloneLine(base, name, rootName) }
  }))
  return rows.filter((row) => row !== null)
}
