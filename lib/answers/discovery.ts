import { startInTurn, type Beneficiary, type Context } from '../context.ts'
import type { GitExit } from '../git/exit.ts'
import { encodePacket, FLUSH } from '../protocol/pkt-line.ts'
import { completeRequest, parseLsRefs, requestKey, selectRefs, type LsRefsRequest } from '../protocol/ls-refs.ts'
import type { RepositoryConfig } from '../repository/settings.ts'
import type { RefsState } from '../repository/refs.ts'
import type { GitDirectory } from '../repository/git-directory.ts'
import type { Answer, Made, Waiting } from './answer-cache.ts'
import { collectAnswer } from './collect.ts'

/** Who asks does not matter here: everything that the answer depends on. */
export interface Question {
  repository: GitDirectory
  /** The `Git-Protocol` header, if it matches its grammar. */
  protocol: string | undefined
  namespace: string | undefined
  /** The host added to git's environment, which may make git say anything. */
  hasOwnEnvironment: boolean
}

/** The one who asks, as far as it matters. */
export interface Asker extends Waiting, Beneficiary {
  /** Is told of a git that failed. */
  onFailure: (exit: GitExit) => void
}

export type AdvertisedService = 'upload-pack' | 'receive-pack'

/** Protocols whose advertisements are remembered; anything else a client may say goes to git. */
const PROTOCOLS: Array<string | undefined> = [undefined, 'version=1', 'version=2']

/**
 * The advertisement of a service, without a process when the repository's state is known. Null when git has to be
 * asked each time: for what has a part of its own per request, or is too large.
 */
export async function rememberedAdvertisement (context: Context, question: Question, service: AdvertisedService, asker: Asker): Promise<Answer | null> {
  const { repository, protocol, namespace } = question
  if (!isRememberable(context, question)) return null
  const config = await context.readConfig(repository)
  // A session id and a push certificate's nonce are new in every advertisement.
  if (isReftable(config) || isTrue(config, 'transfer.advertisesid')) return null
  if (service === 'receive-pack' && typeof config.get('receive.certnonceseed') === 'string') return null

  // What v2 can do depends on the config alone; refs come with ls-refs.
  const needsRefs = service === 'receive-pack' || protocol !== 'version=2'
  const refs = needsRefs ? await context.readRefs(repository) : null
  // What the lenders have (.have) is theirs to change.
  if (refs !== null && (!refs.provable || (service === 'receive-pack' && refs.alternates))) return null

  const prefix = namesService(service, protocol) ? announcement(service) : null
  return await context.answers?.get(`${service} ${protocol ?? ''} ${stateKey(config, refs, namespace)}`, asker, async (signal) => {
    const quiet = refs?.isQuiet() ?? true
    const git = await startInTurn(context, repository, { user: asker.user, address: asker.address, left: signal }, advertise(service, repository.directory), discoveryEnvironment(question), { input: false })
    return whenQuiet(quiet, await collectAnswer(git, { input: null, prefix, signal, onFailure: asker.onFailure }))
  }) ?? null
}

/**
 * The answer to a whole `ls-refs` request. Null when `body` is none, or holds what only git understands.
 */
export async function rememberedLsRefs (context: Context, question: Question, body: Buffer, asker: Asker): Promise<Answer | null> {
  const request = parseLsRefs(body)
  return request === null || question.protocol !== 'version=2' ? null : await rememberedRefs(context, question, request, asker)
}

/** The answer to an `ls-refs` request, filtered from one complete listing per state; null when git has to be asked each time. */
export async function rememberedRefs (context: Context, question: Question, request: LsRefsRequest, asker: Asker): Promise<Answer | null> {
  const { repository, namespace } = question
  if (!isRememberable(context, question)) return null
  const config = await context.readConfig(repository)
  const format = config.get('extensions.objectformat') ?? undefined
  const unborn = config.get('lsrefs.unborn') !== 'ignore'
  if (isReftable(config) || (request.unborn && !unborn) || !speaksFormat(request.objectFormat, format)) return null
  const refs = await context.readRefs(repository)
  if (!refs.provable) return null

  const { answers } = context
  const state = stateKey(config, refs, namespace)
  return await answers?.get(`ls-refs ${requestKey(request)} ${state}`, asker, async (abandoned): Promise<Made> => {
    const complete = await answers.get(`ls-refs ${state}`, { left: abandoned }, async (signal) => {
      const quiet = refs.isQuiet()
      const git = await startInTurn(context, repository, { user: asker.user, address: asker.address, left: signal }, ['upload-pack', '--strict', '--stateless-rpc', repository.directory], discoveryEnvironment({ ...question, protocol: 'version=2' }))
      return whenQuiet(quiet, await collectAnswer(git, { input: completeRequest(format, unborn), prefix: null, signal, onFailure: asker.onFailure }))
    })
    return complete === null ? { bytes: null, keep: false } : { bytes: await selectRefs(complete.bytes, request), keep: complete.keep }
  }) ?? null
}

/** What git read while a change and its reversal could have left no trace is good for those who wait, and no longer. */
function whenQuiet (quiet: boolean, made: Made): Made {
  return quiet ? made : { ...made, keep: false }
}

/** git's arguments for an advertisement. */
export function advertise (service: AdvertisedService, directory: string): string[] {
  return [service, '--stateless-rpc', '--advertise-refs', directory]
}

/** http-backend.c, get_info_refs(): v2 starts with `version 2` instead. receive-pack has no v2 and answers v0, so it keeps the line. */
export function namesService (service: AdvertisedService, protocol: string | undefined): boolean {
  return service === 'receive-pack' || protocol?.split(':').includes('version=2') !== true
}

/** The line that tells a smart server from a dumb one (http-protocol(5), "Smart Server Response"). */
export function announcement (service: AdvertisedService): Buffer {
  return Buffer.concat([encodePacket(`# service=git-${service}\n`), Buffer.from(FLUSH)])
}

function isRememberable ({ answers }: Context, { hasOwnEnvironment, protocol }: Question): boolean {
  return answers !== null && !hasOwnEnvironment && PROTOCOLS.includes(protocol)
}

/** Nothing of the user is in it: the answer is for everybody who may ask. */
export function discoveryEnvironment ({ protocol, namespace }: Pick<Question, 'protocol' | 'namespace'>): Record<string, string> {
  return {
    ...(protocol === undefined ? {} : { GIT_PROTOCOL: protocol }),
    ...(namespace === undefined ? {} : { GIT_NAMESPACE: namespace })
  }
}

/** Reftable files have not been proven to tell a state. */
function isReftable (config: RepositoryConfig): boolean {
  return config.get('extensions.refstorage') != null && config.get('extensions.refstorage') !== 'files'
}

function isTrue (config: RepositoryConfig, key: string): boolean {
  const value = config.get(key)
  // Whatever might mean true.
  return value !== undefined && value !== 'false'
}

/** Without a word a client means sha1 (serve.c, check_algorithm); a mismatch is for git to complain about. */
function speaksFormat (asked: string | undefined, format: string | undefined): boolean {
  return (asked ?? 'sha1') === (format ?? 'sha1')
}

const ids = new WeakMap<object, number>()
let lastId = 0

/** States are compared by identity: a state that was read again is a new one. */
function stateKey (config: RepositoryConfig, refs: RefsState | null, namespace: string | undefined): string {
  return [idOf(config), refs === null ? '' : idOf(refs), JSON.stringify(namespace ?? null)].join(' ')
}

function idOf (state: object): number {
  const id = ids.get(state) ?? ++lastId
  ids.set(state, id)
  return id
}
