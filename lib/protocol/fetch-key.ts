import { createHash } from 'node:crypto'
import { type RequestDraft, SPARSE_FILTER } from './fetch-draft.ts'

/** What beside the request an answer may depend on: the tags, or any ref and object of the repository. */
export type Dependency = 'nothing' | 'tags' | 'refs'

/** Capabilities that do not change the answer, or stand elsewhere in the key. */
const NOT_KEYED = ['agent=', 'session-id=', 'object-format=']

/**
 * The same hex SHA-256 for requests that get the same answer, null for those whose answer must not be remembered.
 * The order of haves stays: git acknowledges them in it.
 */
export function requestDigest ({ request, shallows, haves, keyable }: RequestDraft): string | null {
  const { protocol, objectFormat, wants, wantRefs, done, depth, deepenSince, deepenNot, deepenRelative, filter, capabilities } = request
  if (!keyable || wants.length + wantRefs.length === 0) return null
  // JSON writes undefined within a list as null, which is no value of these.
  const normalized = JSON.stringify([
    protocol, objectFormat, sortedUnique(wants), wantRefs, request.haves, haves.copy().digest('hex'), sortedUnique(shallows), done,
    depth, deepenSince, deepenNot, deepenRelative, filter,
    sortedUnique(capabilities.filter((capability) => !NOT_KEYED.some((prefix) => capability.startsWith(prefix))))
  ])
  return createHash('sha256').update(normalized).digest('hex')
}

/** What must be the same again for the same answer. */
export function requestDependency ({ request }: RequestDraft): Dependency {
  const { protocol, wantRefs, haves, shallows, deepenNot, deepenRelative, filter, capabilities } = request
  // A want must be advertised.
  if (protocol < 2) return 'refs'
  // Names are looked up.
  if (wantRefs.length > 0 || deepenNot.length > 0 || filter?.startsWith(SPARSE_FILTER) === true) return 'refs'
  // Before git 2.54 the new depth is counted from what the refs reach (upload-pack.c, get_reachable_list).
  if (deepenRelative) return 'refs'
  // git ignores those that it does not have (yet): a push may bring them.
  if (haves > 0 || shallows > 0) return 'refs'
  return capabilities.includes('include-tag') ? 'tags' : 'nothing'
}

function sortedUnique (texts: readonly string[]): string[] {
  return [...new Set(texts)].sort()
}
