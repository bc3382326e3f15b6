import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import type { FastifyRequest } from 'fastify'
import type { LevelWithSilent } from 'pino'
import { InvalidOptionError } from './errors.ts'
import { DISTRUST_CONFIG } from './git/distrust.ts'
import { checkOptions } from './option-checks.ts'
import type { GitHttpHooks } from './hooks.ts'
import type { Authenticate, Authorize, Awaitable, GitOperation } from './operation.ts'
import type { MetricsOptions } from './metrics/registry.ts'
import type { PackCacheOptions } from './packs/pack-answer.ts'

/** Options of `fastify.register(gitHttp, options)`. Exactly one of `root` and `resolve` is required. */
export interface GitHttpOptions {
  /** Where the URLs start, for example `/git`. Default: the enclosing scope's prefix. */
  prefix?: string
  /** Folder whose repositories are served, at any depth. Nothing that leads out of it is. */
  root?: string
  /**
   * Maps the repository part of a URL (decoded and free of `..`) to the absolute path of a repository, or null.
   * Instead of `root`, for hosts that keep repositories elsewhere; the path may be anywhere.
   */
  resolve?: (path: string, request: FastifyRequest) => Awaitable<string | null>
  /** Anybody may read. Default true. */
  publicRead?: boolean
  /** Anybody may push. Default false. */
  publicWrite?: boolean
  /** The realm of the Basic challenge. Default `git`. */
  realm?: string
  /** Ini file with users and their rights; read again as soon as it changed. Not together with `authenticate`. */
  accessFile?: string
  /** Checks a name and a password; answers the verified user's name, or null. */
  authenticate?: Authenticate
  /**
   * Decides on every operation, before anything about the repository is revealed. Default: reading as `publicRead`,
   * writing as `publicWrite` say, the rights of `accessFile`, or everything for a verified user.
   */
  authorize?: Authorize
  /** What is served at all. Default: everything but `uploadArchive`. */
  services?: GitHttpServices
  /** Serve every repository (default), or, when false, those with a file `git-daemon-export-ok`. */
  exportAll?: boolean
  /** A permitted push to a repository that does not exist creates it (bare). Default false. */
  createOnPush?: boolean | ((path: string, request: FastifyRequest) => Awaitable<boolean>)
  /** GIT_NAMESPACE for the operation (gitnamespaces(7)), or undefined. Holds for all four families. */
  namespace?: (operation: GitOperation, request: FastifyRequest) => string | undefined
  /** Adds to git's environment; wins over every computed value (REMOTE_USER, GIT_COMMITTER_NAME, ...). */
  environment?: (operation: GitOperation, request: FastifyRequest) => Record<string, string>
  git?: {
    /** The git to run. Default `git`, looked up in PATH. */
    path?: string
    /** Passed as `git -c key=value`; stronger than every config file. */
    config?: Record<string, string>
  }
  /**
   * False when somebody else than the server's owner may write a repository's config or hooks: overrides all in there that runs
   * programs, so that no hook of the repository runs, a push never touches a working copy, and `git gc --auto` is the
   * host's to run. Functions in `hooks` are not concerned. Not together with `services.uploadArchive`, because
   * archives run programs of any name (`tar.<format>.command`, `filter.<driver>.smudge`). Default true.
   */
  trustConfig?: boolean
  /**
   * The helper processes that start git, so that starting one does not stop the server's event loop: for 1 ms in a small
   * process, 40 ms in one with a heap of 1 GB.
   */
  spawner?: {
    /** How many, 0 to 64; 0 starts git directly. Default 2. */
    processes?: number
  }
  cache?: GitHttpCache
  /** Functions of the host that decide on and hear of operations. */
  hooks?: GitHttpHooks
  limits?: GitHttpLimits
  /** Figures for Prometheus; needs the package prom-client. Default: none. */
  metrics?: MetricsOptions
  /**
   * Fastify's own: the lowest level that the plugin's routes log at. Each operation is told at its end in one line at `info`
   * ({@link OperationSummary}), so `warn` leaves these lines out.
   */
  logLevel?: LevelWithSilent
}

export interface GitHttpCache {
  /**
   * Remember advertisements and ref listings, and answer without a process for as long as the repository's files prove
   * that git would say the same again. False: ask git each time.
   */
  answers?: false | {
    /** Bytes of memory for all of them. Default 67,108,864 (64 MiB). */
    maxBytes?: number
  }
  /**
   * Answer identical fetches with one pack: those that run at the same time share one git, and what was asked for more
   * than once is kept for a while. False: ask git each time.
   */
  packs?: false | GitHttpPackCache
}

export interface GitHttpPackCache extends PackCacheOptions {
  /** Send `x-git-cache: hit|shared|miss|bypass` with each answer to a fetch; it always is in the log. Default false. */
  header?: boolean
}

export interface GitHttpServices {
  /** Fetch and clone. Default true. */
  uploadPack?: boolean
  /** Push. Default true (who may push is a matter of authorization). */
  receivePack?: boolean
  /** `git archive --remote`. Default false. */
  uploadArchive?: boolean
  /** The dumb protocol. Default true. */
  dumb?: boolean
}

export interface GitHttpLimits {
  /** Milliseconds without a byte in either direction before a transfer is ended. Default 300,000. */
  idleTimeout?: number
  /** git processes at once, for everybody. What is remembered needs none. Default twice the processor's cores. */
  maxConcurrent?: number
  /** Of these, for one repository. Default three quarters. */
  maxPerRepository?: number
  /** Of these, for one user, or one address of anonymous clients. Default three quarters. */
  maxPerUser?: number
  /** Requests that wait for a git. Default 1,000. */
  maxQueued?: number
  /** Milliseconds that one waits before it is told that the server is busy. Default 30,000. */
  queueTimeout?: number
  /** Longest push, in bytes of its pack. Default: none. */
  maxPushBytes?: number
  /** Longest fetch request, unpacked, in bytes. Default 10,485,760 (10 MiB). */
  maxNegotiationBytes?: number
  /** Milliseconds that `app.close()` waits for transfers in flight before it ends them. Default 60,000. */
  closeGrace?: number
}

export type ResolvedLimits = Required<GitHttpLimits>

/** The options with every default filled in. */
export interface ResolvedOptions extends GitHttpOptions {
  publicRead: boolean
  publicWrite: boolean
  realm: string
  services: Required<GitHttpServices>
  exportAll: boolean
  trustConfig: boolean
  git: { path: string, config: Record<string, string> }
  spawner: { processes: number }
  cache: { answers: false | { maxBytes: number }, packs: false | (GitHttpPackCache & { header: boolean }) }
  hooks: GitHttpHooks & { partial: boolean, deadline: number }
  limits: ResolvedLimits
}

/**
 * Checks the options and fills in the defaults.
 *
 * @throws InvalidOptionError that names the first wrong option.
 */
export function resolveOptions (options: GitHttpOptions): ResolvedOptions {
  checkOptions(options)
  if ((options.root === undefined) === (options.resolve === undefined)) {
    throw new InvalidOptionError('root', 'or \'resolve\' is required, and only one of them')
  }
  if (options.accessFile !== undefined && options.authenticate !== undefined) {
    throw new InvalidOptionError('accessFile', 'cannot be combined with \'authenticate\'')
  }
  const trustConfig = options.trustConfig ?? true
  if (!trustConfig && options.services?.uploadArchive === true) {
    throw new InvalidOptionError('services.uploadArchive', 'cannot be combined with \'trustConfig: false\'')
  }
  return {
    ...options,
    trustConfig,
    root: options.root === undefined ? undefined : resolve(options.root),
    publicRead: options.publicRead ?? true,
    publicWrite: options.publicWrite ?? false,
    realm: options.realm ?? 'git',
    services: { uploadPack: true, receivePack: true, uploadArchive: false, dumb: true, ...defined(options.services) },
    exportAll: options.exportAll ?? true,
    git: { path: executable(options.git?.path ?? 'git'), config: { ...(trustConfig ? {} : DISTRUST_CONFIG), ...options.git?.config } },
    spawner: { processes: options.spawner?.processes ?? 2 },
    cache: {
      answers: options.cache?.answers === false ? false : { maxBytes: options.cache?.answers?.maxBytes ?? 64 * 1024 * 1024 },
      packs: options.cache?.packs === false ? false : { header: false, ...defined(options.cache?.packs) }
    },
    hooks: { partial: false, deadline: 60_000, ...defined(options.hooks) },
    limits: resolveLimits(defined(options.limits))
  }
}

function resolveLimits (limits: GitHttpLimits): ResolvedLimits {
  const { maxConcurrent = 2 * availableParallelism() } = limits
  const share = Math.max(1, Math.floor(maxConcurrent * 3 / 4))
  return {
    idleTimeout: 300_000,
    closeGrace: 60_000,
    maxPerRepository: share,
    maxPerUser: share,
    maxQueued: 1_000,
    queueTimeout: 30_000,
    maxPushBytes: Infinity,
    maxNegotiationBytes: 10 * 1024 * 1024,
    ...limits,
    maxConcurrent
  }
}

/** A bare name is looked up in PATH; a relative path means the folder that the server was started in. */
function executable (path: string): string {
  return path.includes('/') ? resolve(path) : path
}

function defined<T extends object> (values: T | undefined): Partial<T> {
  return Object.fromEntries(Object.entries(values ?? {}).filter(([, value]) => value !== undefined)) as Partial<T>
}
