import { createHash } from 'node:crypto'
import { readFileSync, statSync, type BigIntStats } from 'node:fs'
import { join } from 'node:path'
import type { Answer } from '../answers/answer-cache.ts'
import { rememberedRefs, type Asker, type Question } from '../answers/discovery.ts'
import type { Context } from '../context.ts'
import { SPARSE_FILTER } from '../protocol/fetch-draft.ts'
import type { FetchRequest, FetchRequestParser } from '../protocol/fetch-request.ts'
import type { GitDirectory } from '../repository/git-directory.ts'
import type { RepositoryConfig } from '../repository/settings.ts'

/** Largest list of a shallow repository's boundary that is read, in bytes. */
const MAX_SHALLOW = 1024 * 1024
/** With these a want of v0 and v1 need not be advertised, so that the advertised refs do not tell whether it still is permitted. */
const ANY_WANT = ['uploadpack.allowtipsha1inwant', 'uploadpack.allowreachablesha1inwant', 'uploadpack.allowanysha1inwant']

/** Settings that keep refs from being listed. */
const HIDING = ['transfer.hiderefs', 'uploadpack.hiderefs']
const OBJECT_ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/
/** What git may complete to the name of a tag or branch. */
const PLAIN_NAME = /^\w[\w.+-]*$/

/**
 * Names everything that the answer to a fetch depends on, in 64 hexadecimal digits: the repository, what git is told about
 * it, and the request. Null when that cannot be told, or is different each time.
 */
export async function fetchKey (context: Context, question: Question, parser: FetchRequestParser, asker: Asker): Promise<string | null> {
  const digest = parser.digest()
  // What the host adds to git's environment may make git say anything.
  if (digest === null || question.hasOwnEnvironment) return null
  const { repository, protocol, namespace } = question
  const identity = identityOf(repository)
  const boundary = boundaryOf(repository)
  if (identity === null || boundary === null) return null
  const config = await context.readConfig(repository)
  if (!isSettled(config, parser.request) || !namesAreListed(question, config, parser.request)) return null
  const refs = await refsDigest(context, question, parser, asker)
  if (refs === null) return null
  return createHash('sha256').update(JSON.stringify([identity, boundary, config.digest, protocol ?? null, namespace ?? null, refs, digest])).digest('hex')
}

/** False when settings make the answer depend on more than is known here. */
function isSettled (config: RepositoryConfig, { protocol, objectFormat }: FetchRequest): boolean {
  // git would read the ids otherwise.
  if ((config.get('extensions.objectformat') ?? 'sha1') !== objectFormat) return false
  // A program that makes the pack may look at anything.
  if (config.get('uploadpack.packobjectshook') !== undefined) return false
  return protocol === 2 || ANY_WANT.every((key) => config.get(key) === undefined)
}

/**
 * What the request names must be among the refs that git lists, because those are what the key holds. A bound (upload-pack.c,
 * process_deepen_not) and the file of a filter are looked up like any name, so that a hidden ref, one of another namespace or
 * `ORIG_HEAD` will do.
 */
function namesAreListed ({ repository, namespace }: Question, config: RepositoryConfig, { wantRefs, deepenNot, filter }: FetchRequest): boolean {
  if (filter?.startsWith(SPARSE_FILTER) === true && !OBJECT_ID.test(filter.slice(SPARSE_FILTER.length))) return false
  if (!wantRefs.every(isRefName)) return false
  if (deepenNot.length === 0) return true
  if (namespace !== undefined || HIDING.some((key) => config.get(key) !== undefined)) return false
  return deepenNot.every((name) => isRefName(name) || (PLAIN_NAME.test(name) && look(join(repository.directory, name)) === undefined))
}

function isRefName (name: string): boolean {
  return name === 'HEAD' || name.startsWith('refs/')
}

/** A repository that was deleted and created again is another one, even if it got the same inode. */
function identityOf ({ directory, common }: GitDirectory): string[] | null {
  const identity = [directory]
  for (const folder of [directory, common, join(common, 'objects')]) {
    const stats = look(folder)
    if (stats === undefined) return null
    // Where nobody knows when a folder was made, any change to it may have been that.
    const { dev, ino, birthtimeNs, ctimeNs } = stats
    identity.push(`${dev} ${ino} ${birthtimeNs === 0n ? ctimeNs : birthtimeNs}`)
  }
  return identity
}

/** Where the repository's own history is cut off (gitformat-shallow); null where commits have other parents than they say (grafts). */
function boundaryOf ({ common }: GitDirectory): string | null {
  if (look(join(common, 'info', 'grafts')) !== undefined) return null
  const shallow = look(join(common, 'shallow'))
  if (shallow === undefined) return ''
  if (shallow.size > MAX_SHALLOW) return null
  try {
    return createHash('sha256').update(readFileSync(join(common, 'shallow'))).digest('hex')
  } catch {
    return null
  }
}

function look (path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

const digests = new WeakMap<Buffer, string>()

/** The refs that the answer depends on, as git lists them; null when only git knows them. */
async function refsDigest (context: Context, question: Question, { dependsOn, request }: FetchRequestParser, asker: Asker): Promise<string | null> {
  if (dependsOn === 'nothing') return ''
  const prefixes = dependsOn === 'tags' ? ['refs/tags/'] : []
  const listing: Answer | null = await rememberedRefs(context, question, { peel: true, symrefs: true, unborn: false, prefixes, objectFormat: request.objectFormat }, asker)
  if (listing === null) return null
  const digest = digests.get(listing.bytes) ?? createHash('sha256').update(listing.bytes).digest('hex')
  digests.set(listing.bytes, digest)
  return digest
}
