import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Question } from '../answers/discovery.ts'
import type { Context } from '../context.ts'
import { InternalError, isOurs } from '../errors.ts'
import { requestEnvironment } from '../git/environment.ts'
import type { Operation } from '../limits/operations.ts'
import type { GitOperation, Service } from '../operation.ts'
import { cleanProtocol, protocolVersion } from '../protocol/capabilities.ts'
import { namespacePrefix } from '../protocol/namespace.ts'
import { isRefName } from '../protocol/push-ref-name.ts'
import { real, type GitDirectory } from '../repository/git-directory.ts'
import type { Located } from '../repository/locate.ts'
import { NO_SETTINGS } from '../repository/settings.ts'

/** What a route asks admission for. */
export interface Wanted {
  /** The repository part of the URL. */
  path: string
  service: Service
  phase: GitOperation['phase']
  /** False when the request only asks what a push would meet, so that nothing is created for it. */
  mayCreate?: boolean
}

/** An operation that passed every check. */
export interface Admitted extends Question {
  operation: GitOperation
  /** The part of git's environment that depends on the request. */
  environment: Record<string, string>
  /** No shared cache may keep the answer. */
  private: boolean
}

/**
 * The way of every request, of every family and method: find the repository, find out who asks, decide. What
 * is learned about the repository on the way shows in no answer before the decision.
 */
export async function admit (context: Context, { record }: Operation, request: FastifyRequest, reply: FastifyReply, wanted: Wanted): Promise<Admitted> {
  const { access, options } = context
  const located = await hostCall(() => context.locate(wanted.path, request))
  const protocol = cleanProtocol(request.headers['git-protocol'])
  const operation: GitOperation = {
    repository: located.name,
    directory: located.repository?.directory ?? located.vacant ?? '',
    service: wanted.service,
    phase: wanted.phase,
    access: wanted.service === 'receive-pack' ? 'write' : 'read',
    user: await context.identify(request, reply),
    protocol: protocolVersion(protocol)
  }
  record.operation = operation
  const existing = located.repository
  if (existing !== null) operation.user = await access.decide(operation, request, async () => (await context.readConfig(existing)).settings)
  const repository = existing ?? await vacancy(context, request, operation, located, wanted)
  const namespace = await hostCall(() => cleanNamespace(options.namespace?.(operation, request)))
  const computed = requestEnvironment({ user: operation.user, address: request.ip, protocol, namespace })
  const added = await hostCall(() => options.environment?.(operation, request))
  record.admit(operation)
  return {
    operation,
    repository,
    environment: { ...computed, ...added },
    namespace,
    protocol,
    hasOwnEnvironment: added !== undefined && Object.keys(added).length > 0,
    private: access.isPrivate(operation.user)
  }
}

/** A push to a repository that does not exist: refused as missing, unless the host lets pushes create it. */
async function vacancy (context: Context, request: FastifyRequest, operation: GitOperation, located: Located, wanted: Wanted): Promise<GitDirectory> {
  const { access, creator, options } = context
  const { createOnPush = false, root = null } = options
  if (createOnPush === false || operation.access !== 'write' || located.vacant === null) throw await access.missing(operation)
  operation.user = await access.decide(operation, request, async () => NO_SETTINGS)
  const permitted = createOnPush === true || await hostCall(() => createOnPush(located.name, request))
  if (!permitted) throw await access.missing(operation)
  const base = root === null ? null : await real(root)
  const repository = wanted.mayCreate === true
    ? await creator.create(located.vacant, base)
    : await creator.template(located.vacant, base)
  if (repository === null) throw await access.missing(operation)
  return repository
}

/**
 * gitnamespaces(7): a namespace is a prefix of ref names. git dies of one that gives no ref name, and of a slash at its end, but
 * passes over other empty parts (environment.c, expand_namespace): such a one is a mistake of the host.
 */
function cleanNamespace (namespace: string | undefined): string | undefined {
  if (namespace === undefined || namespace === '') return undefined
  if (namespace.endsWith('/') || !isRefName(namespacePrefix(namespace).slice(0, -1))) throw new TypeError('not a namespace')
  return namespace
}

/** Calls a function of the host; its failure is logged with its cause and answered without it. */
async function hostCall<T> (call: () => T | Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (cause) {
    throw isOurs(cause) ? cause : Object.assign(new InternalError(), { cause })
  }
}
