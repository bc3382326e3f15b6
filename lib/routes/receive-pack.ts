import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Context } from '../context.ts'
import { BusyError, RefusedError, TooLargeError } from '../errors.ts'
import { ByteLimit } from '../limits/byte-limit.ts'
import type { Operation } from '../limits/operations.ts'
import { PathNames } from '../protocol/path-names.ts'
import { encodePushHead, type PushCommand, type PushHead } from '../protocol/push-head.ts'
import { movedRefs, PushReportReader } from '../protocol/report-reader.ts'
import { pushError, pushReport } from '../protocol/report-status.ts'
import { followFirstBranch } from '../push/first-branch.ts'
import { Push } from '../push/push.ts'
import { readPushHead } from '../push/read-head.ts'
import { ReportStage } from '../push/report-stage.ts'
import type { Admitted } from './admit.ts'
import { sendRefusal } from './in-band.ts'
import { openBody, type Post } from './open-body.ts'
import { decide, hookPoint, resolveCommands, wholeness } from './push-hooks.ts'
import { MAX_UNWANTED, runService } from './run-service.ts'

/** Bytes besides the pack that a push may have: its commands, and what git counts otherwise. */
const ROOM = 4 * 1024 * 1024

/** Decides on a push by its commands, then gives it to git (gitprotocol-pack(5), "Reference Update Request and Packfile Transfer"). */
export async function receivePack (context: Context, request: FastifyRequest, reply: FastifyReply, post: Post): Promise<FastifyReply> {
  const { operation, operation: { record }, admitted } = post
  const { hooks, limits } = context.options
  const limit = new ByteLimit(limits.maxPushBytes + ROOM)
  const { body, isStaged } = openBody(context, request, post, limit)
  const { head, bytes, putBack } = await readPushHead(body, { idleTimeout: limits.idleTimeout, over: operation.over })
  if (body === post.body) record.putBack(putBack)
  const objection = await objectionTo(context, admitted, Number(request.headers['content-length']) - bytes.length)
  if (objection !== null) return await refuse(operation, request, reply, objection, head)
  const push = new Push(admitted.operation, request, head, await resolveCommands(context, admitted, head.commands))
  await decide(context, request, operation, push)
  const refused = push.rejected(hooks.partial)
  if (refused.length > 0 && refused.length === head.commands.length) {
    record.refuse()
    return await sendRefusal(operation, request, reply, pushReport({ unpack: 'ok', refs: refused, messages: push.messages }, head.capabilities), MAX_UNWANTED)
  }
  const kept = head.commands.filter(({ ref }) => !refused.some((other) => other.ref === ref))
  const reader = new PushReportReader(head.capabilities)
  const moved = (): PushCommand[] => movedRefs(reader.report, kept)
  if (kept.length > 0) record.moved = () => reader.report === null ? null : moved()
  await context.sweep(admitted.repository)
  await settleHead(context, request, admitted, kept)
  const point = await hookPoint(context, request, admitted, { record, push, moved, whole: isStaged ? wholeness(body) : null })
  const { repository, operation: { repository: name } } = admitted
  const names = new PathNames([repository.directory, repository.common], name)
  const report = new ReportStage(head, { refused, messages: push.messages, rephrase: (ref) => point?.reason ?? point?.reasons.get(ref), names })
  try {
    return reply.send(await runService(context, request, {
      operation,
      admitted,
      args: [...sizeOptions(limits.maxPushBytes), ...point?.args ?? [], 'receive-pack', '--stateless-rpc', admitted.repository.directory],
      body,
      head: refused.length === 0 ? bytes : encodePushHead(head, kept) ?? bytes,
      owned: !isStaged,
      prefix: null,
      explain: (reason) => pushError(reason, head.capabilities),
      point,
      onOutput: (chunk) => reader.update(chunk),
      stages: [report],
      limit: post.gzip ? null : limit
    }))
  } catch (error) {
    if (!(error instanceof BusyError)) throw error
    return await refuse(operation, request, reply, error, head)
  }
}

/** A repository that a push created gets its default branch from it. Without, it works as well. */
async function settleHead ({ env, options: { createOnPush = false }, starter }: Context, request: FastifyRequest, { namespace, repository }: Admitted, commands: PushCommand[]): Promise<void> {
  if (createOnPush === false || namespace !== undefined) return
  try {
    await followFirstBranch(starter, repository, env, commands.filter(({ kind }) => kind === 'create').map(({ ref }) => ref))
  } catch (err) {
    request.log.warn({ err }, 'HEAD of a new repository could not be set')
  }
}

/** What no hook needs to be asked about. `packBytes` is what the client announced, NaN when it did not. */
async function objectionTo (context: Context, admitted: Admitted, packBytes: number): Promise<Error | null> {
  const { maxPushBytes } = context.options.limits
  if (packBytes > maxPushBytes) return new TooLargeError(`a push may have ${maxPushBytes} bytes`)
  return await readsForeignFile(context, admitted) ? new RefusedError('the repository\'s receive.fsck.skipList is not trusted') : null
}

/** Refuses a push before git, in git's own protocol. */
async function refuse (operation: Operation, request: FastifyRequest, reply: FastifyReply, error: Error, { capabilities }: PushHead): Promise<FastifyReply> {
  operation.record.fail(error, { inBand: true })
  return await sendRefusal(operation, request, reply, pushError(error.message, capabilities), MAX_UNWANTED)
}

/** git counts as well, and says `pack exceeds maximum allowed size` (git-config(1), receive.maxInputSize). */
function sizeOptions (maxBytes: number): string[] {
  return maxBytes === Infinity ? [] : ['-c', `receive.maxInputSize=${maxBytes}`]
}

/** git reads the file that receive.fsck.skipList names, and tells the pusher the first line of it that is no object name (oidset.c). */
async function readsForeignFile ({ options: { git, trustConfig }, readConfig }: Context, { repository }: Admitted): Promise<boolean> {
  return !trustConfig && (await readConfig(repository)).get('receive.fsck.skiplist') !== git.config['receive.fsck.skipList']
}
