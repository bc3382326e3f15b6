import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Starter } from '../git/starter.ts'
import { InvalidOptionError } from '../errors.ts'
import type { Awaitable } from '../operation.ts'
import type { StatusSource } from './status-source.ts'

/** Options of `fastify.register(web, options)`. */
export interface WebOptions {
  /** Where the pages start: the git plugin's own prefix, so that a clone URL opened in a browser is the repository's page. */
  prefix?: string
  /** Folder whose repositories are shown, at any depth: the git plugin's own. */
  root: string
  /** As the git plugin's. Default true. */
  exportAll?: boolean
  /** What the pages call this server. Default `git`. */
  title?: string
  /**
   * Where clone lines point, with the prefix and without a slash at its end: `https://git.example.org`. Default: the address
   * that the browser asked for.
   */
  url?: string
  /** The realm of the challenge: the git plugin's own, so that one password is asked for once. Default `git`. */
  realm?: string
  /** Offer to log in. Default: true when `user` is given. */
  login?: boolean
  /**
   * The verified user of a request, or null. Called once for each request, before anything else.
   *
   * @throws what has a `statusCode` of 401 for wrong credentials; it is answered with a challenge.
   */
  user?: (request: FastifyRequest, reply: FastifyReply) => Awaitable<string | null>
  /**
   * Who may know of a repository; asked for every one that might be shown, after `user`. `directory` is the absolute real
   * path of the git directory. Default: everybody.
   */
  canRead?: (repository: string, directory: string, request: FastifyRequest) => Awaitable<boolean>
  /** Who is shown how to push. Default: everybody. */
  canPush?: (repository: string, directory: string, request: FastifyRequest) => Awaitable<boolean>
  /** Figures for the status page. Default: there is no status page. */
  status?: StatusSource
  /** The git plugin's own `git`: the program, and settings stronger than every config file. */
  git?: { path?: string, config?: Record<string, string> }
  /** What runs git. Default: a helper process of its own. */
  starter?: Starter
}

/** The options with every default filled in. */
export interface ResolvedWebOptions extends WebOptions {
  exportAll: boolean
  title: string
  realm: string
  login: boolean
  user: NonNullable<WebOptions['user']>
  canRead: NonNullable<WebOptions['canRead']>
  canPush: NonNullable<WebOptions['canPush']>
  git: { path: string, config: Record<string, string> }
}

/** @throws InvalidOptionError */
export function resolveWebOptions (given: WebOptions): ResolvedWebOptions {
  check('root', typeof given.root === 'string' && given.root !== '' && !given.root.includes('\0'), 'must be a non-empty string without NUL')
  for (const name of ['user', 'canRead', 'canPush'] as const) {
    check(name, given[name] === undefined || typeof given[name] === 'function', 'must be a function')
  }
  for (const name of ['login', 'exportAll'] as const) {
    check(name, given[name] === undefined || typeof given[name] === 'boolean', 'must be a boolean')
  }
  check('title', given.title === undefined || (typeof given.title === 'string' && given.title !== ''), 'must be a non-empty string')
  check('url', given.url === undefined || (/^https?:\/\/[^\s]*[^\s/]$/.test(given.url) && URL.canParse(given.url)), 'must be an http URL without a slash at its end')
  check('realm', given.realm === undefined || (/^[\x20-\x7e]+$/.test(given.realm) && !/["\\]/.test(given.realm)), 'must be printable ASCII without quotes and backslashes')
  check('status', given.status === undefined || typeof given.status?.snapshot === 'function', 'must have a function snapshot')
  return {
    ...given,
    exportAll: given.exportAll ?? true,
    title: given.title ?? 'git',
    realm: given.realm ?? 'git',
    login: given.login ?? given.user !== undefined,
    user: given.user ?? (() => null),
    canRead: given.canRead ?? (() => true),
    canPush: given.canPush ?? (() => true),
    git: { path: given.git?.path ?? 'git', config: given.git?.config ?? {} }
  }
}

function check (name: string, holds: boolean, must: string): void {
  if (!holds) throw new InvalidOptionError(name, must)
}
