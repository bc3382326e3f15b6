import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { AccessFile } from './access/access-file.ts'
import { createAccess } from './access/authorize.ts'
import { createIdentify } from './access/basic-auth.ts'
import { AnswerCache } from './answers/answer-cache.ts'
import type { Context } from './context.ts'
import { InvalidOptionError } from './errors.ts'
import { DISTRUST_ENVIRONMENT } from './git/distrust.ts'
import { inheritedEnvironment } from './git/environment.ts'
import { openStarter } from './git/spawner.ts'
import { createSweep } from './git/sweep.ts'
import { callWithin, isHeard, tell } from './hook-runner.ts'
import type { GitHttpHooks } from './hooks.ts'
import { Admission } from './limits/admission.ts'
import { Operations } from './limits/operations.ts'
import { resolveOptions, type GitHttpOptions } from './options.ts'
import { PackCache } from './packs/pack-cache.ts'
import { HookFolder } from './push/hook-folder.ts'
import { openMetrics } from './metrics/metrics.ts'
import { logFields, MESSAGE } from './status/log-line.ts'
import { mergeSnapshots } from './status/merge.ts'
import { RegistrationStatus } from './status/registration-status.ts'
import { Totals } from './status/totals.ts'
import { createCreator } from './repository/create.ts'
import { createLocate } from './repository/locate.ts'
import { createReadRefs } from './repository/refs.ts'
import { createReadConfig } from './repository/settings.ts'
import { addFamilyConstraint } from './routes/families.ts'
import { registerRoutes } from './routes/register.ts'
import type { OperationSummary } from './summary.ts'
import type { WebOptions } from './web/options.ts'
import type { StatusSource } from './web/status-source.ts'
import { pageAccess, type PageAccess } from './web/page-access.ts'

/** What `fastify.gitHttp` offers; it speaks for every registration in its scope. */
export interface GitHttp {
  /** Operations in flight now. */
  readonly active: number
  /** True once new operations are refused, because of `drain()` or `app.close()`: this server is not ready for more. */
  readonly draining: boolean
  /**
   * Refuses new operations with 503, waits for those in flight up to `limits.closeGrace`, then ends the rest.
   * `app.close()` does this too.
   */
  drain (): Promise<void>
  /**
   * What pages beside the registration under `prefix` need to show to each visitor what git's own routes would serve:
   * `register(web, { prefix, root, ...gitHttp.pages(prefix) })`.
   */
  pages (prefix?: string): PagesOptions
  /**
   * What the registration under `prefix` does now, for the status page of `web` or for the host's own; without a prefix, what all
   * registrations do.
   */
  status (prefix?: string): StatusSource
}

/** Options of `web` that follow from a registration. */
export type PagesOptions = PageAccess & Required<Pick<WebOptions, 'exportAll' | 'realm' | 'login' | 'git' | 'starter'>>

class Registrations implements GitHttp {
  readonly #contexts: Context[] = []
  readonly #statuses = new Map<Context, StatusSource>()

  add (context: Context, status: StatusSource): void {
    this.#contexts.push(context)
    this.#statuses.set(context, status)
  }

  get active (): number {
    return this.#contexts.reduce((sum, { operations }) => sum + operations.size, 0)
  }

  get draining (): boolean {
    return this.#contexts.some(({ operations }) => operations.isDraining)
  }

  pages (prefix = ''): PagesOptions {
    const context = this.#find(prefix)
    const { exportAll, realm, git, accessFile, authenticate } = context.options
    return { ...pageAccess(context), exportAll, realm, git, login: accessFile !== undefined || authenticate !== undefined, starter: context.starter }
  }

  status (prefix?: string): StatusSource {
    const one = prefix === undefined ? undefined : this.#statuses.get(this.#find(prefix))
    return one ?? { snapshot: () => mergeSnapshots([...this.#statuses.values()].map((status) => status.snapshot())) }
  }

  #find (prefix: string): Context {
    const context = this.#contexts.find(({ options }) => (options.prefix ?? '') === prefix)
    if (context === undefined) throw new InvalidOptionError('prefix', 'must be that of a registration')
    return context
  }

  async drain (): Promise<void> {
    await Promise.all(this.#contexts.map(({ operations, options }) => operations.drain(options.limits.closeGrace)))
  }
}

async function gitHttp (fastify: FastifyInstance, given: GitHttpOptions): Promise<void> {
  const options = resolveOptions(given)
  const env = { ...inheritedEnvironment(), ...(options.trustConfig ? {} : DISTRUST_ENVIRONMENT) }
  const accessFile = options.accessFile === undefined ? null : await AccessFile.open(options.accessFile, fastify.log)
  addFamilyConstraint(fastify)
  const starter = await openStarter(options.git.path, options.spawner.processes, fastify.log)
  const creator = createCreator(starter, options.git.config, env)
  const packs = options.cache.packs === false ? null : new PackCache(options.cache.packs, fastify.log)
  const admission = new Admission(options.limits)
  const totals = new Totals()
  const metrics = options.metrics === undefined ? null : await openMetrics(options.metrics.register)
  const operations = new Operations(({ record }) => {
    const summary = record.summary()
    totals.add(summary)
    metrics?.observe(summary)
    record.log?.info(logFields(summary, record.address), MESSAGE)
    finish(fastify, options.hooks, summary)
  })
  let unwatch: (() => void) | undefined
  let hookFolder: Promise<HookFolder> | undefined

  // preClose starts to drain, because onClose runs only after transfers in flight have ended. It does not wait: Fastify gives
  // these hooks no longer than its pluginTimeout (10 s). The server's own close waits for what the drain lets finish or ends.
  let drained: Promise<void> | undefined
  fastify.addHook('preClose', async () => { drained = operations.drain(options.limits.closeGrace) })
  fastify.addHook('onClose', async () => {
    await drained
    unwatch?.()
    admission.close()
    await packs?.close()
    await creator.close()
    await hookFolder?.then(async (folder) => await folder.close(), () => {})
    await starter.close()
  })

  try {
    // A scope of its own: its parsers, its error handler and its prefix are nobody else's.
    await fastify.register(async (scope) => {
      const authenticate = accessFile === null
        ? options.authenticate
        : async ({ username, password }: { username: string, password: string }) => await accessFile.authenticate(username, password)
      const context: Context = {
        options,
        env,
        starter,
        locate: createLocate(options),
        readConfig: createReadConfig(starter, options.git.config, env),
        readRefs: createReadRefs(),
        answers: options.cache.answers === false ? null : new AnswerCache(options.cache.answers.maxBytes),
        packs,
        identify: await createIdentify(scope, authenticate),
        access: createAccess(options, accessFile),
        creator,
        admission,
        operations,
        sweep: createSweep(),
        hookFolder: async () => await (hookFolder ??= HookFolder.open().catch((error) => {
          hookFolder = undefined
          throw error
        }))
      }
      registerRoutes(scope, context)
      const observed = { ...context, totals }
      unwatch = metrics?.watch(observed)
      registrationsOf(fastify).add(context, new RegistrationStatus(observed))
    }, { prefix: options.prefix ?? '', ...options.logLevel === undefined ? {} : { logLevel: options.logLevel } })
  } catch (error) {
    // Nobody is obliged to close an application that never came to be.
    unwatch?.()
    await packs?.close()
    await starter.close()
    throw error
  }

  fastify.addHook('onReady', async () => warnOfTimeouts(fastify, options.limits.idleTimeout))
}

/** Tells that an operation is over. Nobody waits for it, so an error of the hook only goes to the log. */
function finish ({ log }: FastifyInstance, hooks: GitHttpHooks & { deadline: number }, summary: OperationSummary): void {
  if (!isHeard(hooks, 'onFinish')) return
  callWithin(hooks.deadline, new AbortController().signal, async () => await tell(hooks, 'onFinish', summary))
    .catch((error) => log.error({ err: error.cause ?? error, hook: 'onFinish' }, 'a hook failed'))
}

/** Node's own deadlines cover the whole request, body included, and every silence on its connection: pushes that take longer are cut. */
function warnOfTimeouts ({ server, log }: FastifyInstance, idleTimeout: number): void {
  const { requestTimeout = 0, timeout = 0 } = server
  if (requestTimeout > 0) log.warn({ requestTimeout }, 'the server\'s requestTimeout ends every push that takes longer; set it to 0')
  if (timeout > 0 && timeout < idleTimeout) log.warn({ connectionTimeout: timeout, idleTimeout }, 'the server\'s connectionTimeout ends transfers while git works in silence; set it to 0')
}

/** One decoration for all registrations that share a scope. */
function registrationsOf (fastify: FastifyInstance): Registrations {
  if (!fastify.hasDecorator('gitHttp')) fastify.decorate('gitHttp', new Registrations())
  return fastify.gitHttp as Registrations
}

/** `fastify.register(gitHttp, options)`; see {@link GitHttpOptions}. */
const plugin: FastifyPluginAsync<GitHttpOptions> = fp(gitHttp, { fastify: '5.x', name: 'fastify-git-http' })

export default plugin
