import { resolve } from 'node:path'
import type { FastifyRequest } from 'fastify'
import { InvalidOptionError } from './errors.ts'
import type { Authenticate, Authorize, Awaitable, GitOperation } from './operation.ts'

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
   * The helper processes that start git, so that starting one does not stop the server's event loop: for 1 ms in a small
   * process, 40 ms in one with a heap of 1 GB.
   */
  spawner?: {
    /** How many, 0 to 64; 0 starts git directly. Default 2. */
    processes?: number
  }
  cache?: GitHttpCache
  limits?: GitHttpLimits
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
  /** Milliseconds that `app.close()` waits for transfers in flight before it ends them. Default 60,000. */
  closeGrace?: number
}

/** The options with every default filled in. */
export interface ResolvedOptions extends GitHttpOptions {
  publicRead: boolean
  publicWrite: boolean
  realm: string
  services: Required<GitHttpServices>
  exportAll: boolean
  git: { path: string, config: Record<string, string> }
  spawner: { processes: number }
  cache: { answers: false | { maxBytes: number } }
  limits: Required<GitHttpLimits>
}

/** git-config(1), "Syntax": section, an optional subsection, and a variable. A `=` would end the name on git's command line. */
const CONFIG_NAME = /^[A-Za-z0-9-]+\.(?:[^\n\0=]+\.)?[A-Za-z][A-Za-z0-9-]*$/

type Check = (value: unknown) => true | string

const boolean: Check = (value) => typeof value === 'boolean' || 'must be a boolean'
const text: Check = (value) => (typeof value === 'string' && value !== '' && !value.includes('\0')) || 'must be a non-empty string without NUL'
const callback: Check = (value) => typeof value === 'function' || 'must be a function'
const duration: Check = (value) =>
  (Number.isInteger(value) && value as number > 0 && value as number < 2 ** 31) || 'must be a whole number of milliseconds from 1 to 2147483647'
const bytes: Check = (value) => (Number.isSafeInteger(value) && value as number > 0) || 'must be a whole number of bytes from 1'
const processes: Check = (value) =>
  (Number.isInteger(value) && value as number >= 0 && value as number <= 64) || 'must be a whole number from 0 to 64'
const realm: Check = (value) =>
  (typeof value === 'string' && /^[\x20-\x7e]+$/.test(value) && !/["\\]/.test(value)) || 'must be printable ASCII without quotes and backslashes'
const booleanOrCallback: Check = (value) =>
  ['boolean', 'function'].includes(typeof value) || 'must be a boolean or a function'
const config: Check = (value) => {
  if (!isPlainObject(value)) return 'must be an object'
  const wrong = Object.entries(value).find(([key, setting]) => !CONFIG_NAME.test(key) || typeof setting !== 'string' || setting.includes('\0'))
  return wrong === undefined || `must map git config names to strings, '${wrong[0]}' does not`
}

/** Every option and its check; a nested table for a nested object. */
interface Checks { [name: string]: Check | Checks }

/** False, or an object of its own checks. */
function offOr (checks: Checks): Check {
  return (value) => {
    if (value === false) return true
    check(value, checks, 'cache.answers')
    return true
  }
}

const CHECKS: Checks = {
  prefix: (value) => typeof value === 'string' || 'must be a string',
  root: text,
  resolve: callback,
  publicRead: boolean,
  publicWrite: boolean,
  realm,
  accessFile: text,
  authenticate: callback,
  authorize: callback,
  services: { uploadPack: boolean, receivePack: boolean, uploadArchive: boolean, dumb: boolean },
  exportAll: boolean,
  createOnPush: booleanOrCallback,
  namespace: callback,
  environment: callback,
  git: { path: text, config },
  spawner: { processes },
  cache: { answers: offOr({ maxBytes: bytes }) },
  limits: { idleTimeout: duration, closeGrace: duration }
}

/** Options that Fastify's own `register` reads and passes on. */
const OF_REGISTER = ['logLevel', 'logSerializers']

/**
 * Checks the options and fills in the defaults.
 *
 * @throws InvalidOptionError that names the first wrong option.
 */
export function resolveOptions (options: GitHttpOptions): ResolvedOptions {
  check(options, CHECKS, '')
  if ((options.root === undefined) === (options.resolve === undefined)) {
    throw new InvalidOptionError('root', 'or \'resolve\' is required, and only one of them')
  }
  if (options.accessFile !== undefined && options.authenticate !== undefined) {
    throw new InvalidOptionError('accessFile', 'cannot be combined with \'authenticate\'')
  }
  return {
    ...options,
    root: options.root === undefined ? undefined : resolve(options.root),
    publicRead: options.publicRead ?? true,
    publicWrite: options.publicWrite ?? false,
    realm: options.realm ?? 'git',
    services: { uploadPack: true, receivePack: true, uploadArchive: false, dumb: true, ...defined(options.services) },
    exportAll: options.exportAll ?? true,
    git: { path: executable(options.git?.path ?? 'git'), config: options.git?.config ?? {} },
    spawner: { processes: options.spawner?.processes ?? 2 },
    cache: { answers: options.cache?.answers === false ? false : { maxBytes: options.cache?.answers?.maxBytes ?? 64 * 1024 * 1024 } },
    limits: { idleTimeout: 300_000, closeGrace: 60_000, ...defined(options.limits) }
  }
}

function check (values: unknown, checks: Checks, parent: string): void {
  if (!isPlainObject(values)) throw new InvalidOptionError(parent, 'must be an object')
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || (parent === '' && OF_REGISTER.includes(name))) continue
    const path = parent === '' ? name : `${parent}.${name}`
    const rule = Object.hasOwn(checks, name) ? checks[name] : undefined
    if (rule === undefined) throw new InvalidOptionError(path, 'is unknown')
    if (typeof rule === 'object') {
      check(value, rule, path)
      continue
    }
    const verdict = rule(value)
    if (verdict !== true) throw new InvalidOptionError(path, verdict)
  }
}

/** A bare name is looked up in PATH; a relative path means the folder that the server was started in. */
function executable (path: string): string {
  return path.includes('/') ? resolve(path) : path
}

function isPlainObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function defined<T extends object> (values: T | undefined): Partial<T> {
  return Object.fromEntries(Object.entries(values ?? {}).filter(([, value]) => value !== undefined)) as Partial<T>
}
