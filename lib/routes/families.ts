import type { FastifyInstance, FastifyRequest } from 'fastify'
import { RepositoryNotFoundError } from '../errors.ts'

/**
 * The URLs of git's HTTP protocol (http-protocol(5), and the table in git's http-backend.c) in four families. A
 * constraint strategy tells them from all other URLs under the same prefix, so that these stay with the host.
 */
export type Family = 'info-refs' | 'rpc' | 'head' | 'objects'

export const FAMILIES: readonly Family[] = ['info-refs', 'rpc', 'head', 'objects']

/** The name of the constraint. */
export const CONSTRAINT = 'gitFamily'

const SUFFIX = new RegExp('/(?:' + [
  '(?<infoRefs>info/refs)',
  'git-(?<rpc>upload-pack|receive-pack|upload-archive)',
  '(?<head>HEAD)',
  'objects/(?<object>info/(?:packs|http-alternates|alternates)|' +
    '[0-9a-f]{2}/(?:[0-9a-f]{38}|[0-9a-f]{62})|' +
    'pack/pack-(?:[0-9a-f]{40}|[0-9a-f]{64})\\.(?:pack|idx))'
].join('|') + ')$')

/** What a git URL asks for. */
export interface Target {
  family: Family
  /** The part before the family's suffix, without slashes around it. */
  repository: string
  /** `upload-pack` and the like for `rpc`, the path below `objects/` for `objects`. */
  name: string
}

/** The target of a path, or null when it is none of git's. */
export function parseTarget (path: string): Target | null {
  const match = SUFFIX.exec(path)
  if (match === null) return null
  const { infoRefs, rpc, head, object } = match.groups as Record<string, string | undefined>
  const family: Family = infoRefs !== undefined ? 'info-refs' : rpc !== undefined ? 'rpc' : head !== undefined ? 'head' : 'objects'
  return { family, repository: path.slice(1, Math.max(1, match.index)), name: rpc ?? object ?? '' }
}

/** Lets routes be constrained to a family; a no-op where another registration has done so. */
export function addFamilyConstraint (fastify: FastifyInstance): void {
  if (fastify.hasConstraintStrategy(CONSTRAINT)) return
  fastify.addConstraintStrategy({
    name: CONSTRAINT,
    storage: () => {
      const handlers = new Map<unknown, unknown>()
      return {
        get: (family: unknown) => handlers.get(family) as never ?? null,
        set: (family: unknown, handler: unknown) => { handlers.set(family, handler) }
      }
    },
    deriveConstraint: (request) => familyOf(request.url ?? ''),
    mustMatchWhenDerived: false
  })
}

function familyOf (url: string): Family | undefined {
  // The router ends the path here as well.
  const end = url.search(/[?#]/)
  return parseTarget(end < 0 ? url : url.slice(0, end))?.family
}

/**
 * The target of a request that the router sent to one of the families; decoded once, by the router.
 *
 * @throws RepositoryNotFoundError when the family's suffix began within the prefix (`/info` and `/info/refs`).
 */
export function targetOf (request: FastifyRequest, family: Family): Target {
  const { '*': path = '' } = request.params as { '*'?: string }
  const target = parseTarget(`/${path}`)
  if (target?.family !== family) throw new RepositoryNotFoundError()
  return target
}
