import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { openStarter } from '../git/spawner.ts'
import type { Starter } from '../git/starter.ts'
import { resolveOptions } from '../options.ts'
import { createLocate } from '../repository/locate.ts'
import { createReadConfig } from '../repository/settings.ts'
import { createReadContents } from './contents.ts'
import { Folders } from './folders.ts'
import { GitQuestions } from './git-questions.ts'
import { resolveWebOptions, type WebOptions } from './options.ts'
import { registerPages } from './routes.ts'
import { linksBelow } from './site.ts'
import { StatusEvents } from './status-events.ts'
import { createReadFigures } from './summary.ts'

export { pageAccess, type PageAccess } from './page-access.ts'
export type { WebOptions } from './options.ts'
export type { CacheStatus, OperationStatus, StatusSnapshot, StatusSource, StatusTotals } from './status-source.ts'

/**
 * Pages for people beside the git plugin: `fastify.register(web, options)` with the plugin's own prefix. The
 * repositories below root, a page for each, and what the server does. See {@link WebOptions}.
 *
 * @throws InvalidOptionError
 */
export const web: FastifyPluginAsync<WebOptions> = async (fastify, given) => {
  const options = resolveWebOptions(given)
  const starter = options.starter ?? await ownStarter(fastify, options.git.path)
  const git = new GitQuestions(starter, options.git.config)
  const readConfig = createReadConfig(git, options.git.config, git.env)
  const folders = new Folders(options.root)
  const events = options.status === undefined ? null : new StatusEvents(options.status, (err) => fastify.log.error({ err }, 'the status page failed'))

  // Those who watch would keep the server from closing.
  fastify.addHook('preClose', async () => {
    events?.close()
    folders.close()
  })

  registerPages(fastify, {
    options,
    site: { title: options.title, login: options.login, status: options.status !== undefined, links: linksBelow(fastify.prefix.replace(/\/$/, '')) },
    folders,
    locate: createLocate(resolveOptions({ root: options.root, exportAll: options.exportAll })),
    readFigures: createReadFigures(git, readConfig),
    readContents: createReadContents(git, readConfig),
    events
  })
}

async function ownStarter (fastify: FastifyInstance, path: string): Promise<Starter> {
  const starter = await openStarter(path, 1, fastify.log)
  fastify.addHook('onClose', async () => await starter.close())
  return starter
}
