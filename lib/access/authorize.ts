import type { FastifyRequest } from 'fastify'
import {
  AuthenticationRequiredError, ForbiddenError, InternalError, isOurs, RefusedError, RepositoryNotFoundError, ServiceDisabledError
} from '../errors.ts'
import type { GitOperation, Verdict } from '../operation.ts'
import type { ResolvedOptions } from '../options.ts'
import type { RepositorySettings } from '../repository/settings.ts'
import type { AccessFile } from './access-file.ts'

/** Reads the repository's own settings; asked for only when the decision needs them, because it may start git. */
type Settings = () => Promise<RepositorySettings>

/** The one decision point: every family and method passes {@link Access.decide} before anything is revealed. */
export interface Access {
  /**
   * Decides on an operation. Resolves with the user, who may have been named by `authorize` only now.
   *
   * @throws AuthenticationRequiredError, ForbiddenError, RefusedError, RepositoryNotFoundError, ServiceDisabledError.
   */
  decide (operation: GitOperation, request: FastifyRequest, settings: Settings): Promise<string | null>
  /** The error for a repository that does not exist, or that nobody may know of. */
  missing (operation: GitOperation): Promise<Error>
  /** True when an answer to this user may differ from what everybody gets, so that no shared cache may keep it. */
  isPrivate (user: string | null): boolean
}

/** Builds the decision point from the options. */
export function createAccess (options: ResolvedOptions, accessFile: AccessFile | null): Access {
  const { authorize, publicRead, publicWrite, services } = options
  const challenges = accessFile !== null || options.authenticate !== undefined || authorize !== undefined

  return { decide, missing, isPrivate: (user) => user !== null || authorize !== undefined }

  async function decide (operation: GitOperation, request: FastifyRequest, settings: Settings): Promise<string | null> {
    const verdict = authorize === undefined ? await byRules(operation, settings) : await byHost(operation, request)
    if (verdict === 'hide') throw await missing(operation)
    if (typeof verdict === 'object' && !verdict.allow) throw refusal(verdict, operation)
    if (verdict === false) throw denied(operation.user)
    const user = typeof verdict === 'object' ? verdict.user : operation.user
    requireService(operation, user, await settings())
    return user
  }

  async function byHost (operation: GitOperation, request: FastifyRequest): Promise<Verdict> {
    try {
      const verdict = await (authorize as NonNullable<typeof authorize>)(operation, request)
      if (isVerdict(verdict)) return verdict
      throw new TypeError('authorize answered something that is no verdict')
    } catch (cause) {
      throw isOurs(cause) ? cause : Object.assign(new InternalError(), { cause })
    }
  }

  /** The rules without a host's `authorize`. A private repository is hidden from a user who may not read it. */
  async function byRules (operation: GitOperation, settings: Settings): Promise<Verdict> {
    const everybody = await anonymousRights(operation, settings)
    const rights = await userRights(operation)
    if (everybody[operation.access] || rights[operation.access]) return true
    const visible = everybody.read || rights.read || (operation.user === null && challenges)
    return visible ? false : 'hide'
  }

  async function anonymousRights (operation: GitOperation, settings: Settings | null): Promise<{ read: boolean, write: boolean }> {
    const granted = await accessFile?.rights(null, operation.repository)
    if (granted !== undefined) return { read: granted !== 'none', write: granted === 'write' }
    // Where no file lists rights, the repository's own config may open it (git-http-backend(1), http.receivepack).
    const asksConfig = accessFile === null && settings !== null && operation.access === 'write' && operation.user === null
    return { read: publicRead, write: publicWrite || (asksConfig && (await settings()).receivePack === true) }
  }

  async function userRights ({ user, repository }: GitOperation): Promise<{ read: boolean, write: boolean }> {
    if (user === null) return { read: false, write: false }
    const granted = accessFile === null ? 'write' : await accessFile.rights(user, repository)
    return { read: granted === 'read' || granted === 'write', write: granted === 'write' }
  }

  async function missing (operation: GitOperation): Promise<Error> {
    const open = authorize === undefined ? (await anonymousRights(operation, null)).read : publicRead
    return operation.user === null && challenges && !open ? new AuthenticationRequiredError() : new RepositoryNotFoundError()
  }

  function denied (user: string | null): Error {
    return user === null && challenges ? new AuthenticationRequiredError() : new ForbiddenError()
  }

  function refusal (verdict: Extract<Verdict, { allow: false }>, operation: GitOperation): Error {
    const error = new RefusedError(verdict.reason)
    const challenge = operation.user === null && challenges && operation.phase !== 'exchange'
    error.statusCode = verdict.status ?? (challenge ? 401 : 403)
    return Object.assign(error, { headers: verdict.headers, inBand: verdict.status === undefined && operation.phase === 'exchange' })
  }

  /**
   * As git's http-backend.c, select_service(): a service that the config does not mention is on for a verified user and,
   * but for fetching, off for an anonymous one. A config `false` always wins.
   */
  function requireService ({ service }: GitOperation, user: string | null, settings: RepositorySettings): void {
    const verified = user !== null || publicWrite
    const table = {
      'upload-pack': { offered: services.uploadPack, configured: settings.uploadPack, otherwise: true },
      'receive-pack': { offered: services.receivePack, configured: settings.receivePack, otherwise: verified },
      'upload-archive': { offered: services.uploadArchive, configured: settings.uploadArchive, otherwise: verified },
      dumb: { offered: services.dumb, configured: settings.getAnyFile, otherwise: true }
    }
    const { offered, configured, otherwise } = table[service]
    if (offered && (configured ?? otherwise)) return
    if (offered && configured === undefined && user === null && challenges) throw new AuthenticationRequiredError()
    throw new ServiceDisabledError(service)
  }
}

function isVerdict (verdict: unknown): verdict is Verdict {
  if (typeof verdict === 'boolean' || verdict === 'hide') return true
  if (typeof verdict !== 'object' || verdict === null || !('allow' in verdict)) return false
  if (verdict.allow === true) return 'user' in verdict && typeof verdict.user === 'string' && verdict.user !== ''
  return verdict.allow === false && 'reason' in verdict && typeof verdict.reason === 'string' &&
    (!('status' in verdict) || verdict.status === undefined || isRefusalStatus(verdict.status))
}

/** A 2xx would make git store the credentials. */
function isRefusalStatus (status: unknown): boolean {
  return Number.isInteger(status) && status as number >= 300 && status as number <= 599
}
