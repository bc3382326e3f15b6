import type { GitHttp } from './plugin.ts'

declare module 'fastify' {
  interface FastifyInstance {
    gitHttp: GitHttp
  }
  interface FastifyContextConfig {
    /**
     * True on routes whose end the plugin tells in a log line of its own, so that a host can leave out Fastify's two
     * (`logController`).
     */
    gitOperation?: boolean
  }
}

export { default } from './plugin.ts'
export { web } from './web/index.ts'
export type { CacheStatus, OperationStatus, StatusSnapshot, StatusSource, StatusTotals, WebOptions } from './web/index.ts'
export { default as gitHttp } from './plugin.ts'
export type { GitHttp, PagesOptions } from './plugin.ts'
export type { GitHttpCache, GitHttpLimits, GitHttpOptions, GitHttpPackCache, GitHttpServices } from './options.ts'
export type { GitFetch, GitHttpHooks, GitPush, GitPushCommand, PostReceive, PreReceive } from './hooks.ts'
export type { FetchRequest } from './protocol/fetch-request.ts'
export type { PushCommand } from './protocol/push-head.ts'
export type { GitExit } from './git/exit.ts'
export type { GitRun } from './push/hook-git.ts'
export type { MetricsOptions, MetricsRegistry } from './metrics/registry.ts'
export type { OperationSummary, Outcome } from './summary.ts'
export type { PackSource, PackStore, StoredPack } from './packs/pack-store.ts'
export type { Authenticate, Authorize, Awaitable, Credentials, GitOperation, Service, Verdict } from './operation.ts'
export * as errors from './errors.ts'
