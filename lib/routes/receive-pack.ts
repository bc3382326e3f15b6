import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { startFor, type Context } from '../context.ts'
import { BusyError, HookTimeoutError, InternalError, isOurs, RefusedError, TooLargeError } from '../errors.ts'
import { callWithin, hookFailure, isHeard, publicReason, tell } from '../hook-runner.ts'
import type { GitPushCommand } from '../hooks.ts'
import { ByteLimit } from '../limits/byte-limit.ts'
import type { Operation } from '../limits/operations.ts'
import type { OperationRecord } from '../limits/record.ts'
import { encodePushHead, type PushCommand, type PushHead } from '../protocol/push-head.ts'
import { movedRefs, PushReportReader } from '../protocol/report-reader.ts'
import { pushError, pushReport } from '../protocol/report-status.ts'
import { HookTimeout } from '../push/hook-call.ts'
import { hooksPath, ownHooks } from '../push/hook-own.ts'
import { openHookPoint, type HookPoint } from '../push/hook-point.ts'
import { Push } from '../push/push.ts'
import { readPushHead } from '../push/read-head.ts'
import { ReportStage } from '../push/report-stage.ts'
import { touchedRefs } from '../push/symbolic-refs.ts'
import type { Admitted } from './admit.ts'
import { sendRefusal } from './in-band.ts'
import { openBody, type Post } from './open-body.ts'
import { MAX_UNWANTED, runService, type Run } from './run-service.ts'

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
  const push = new Push(admitted.operation, request, head, await resolveCommands(context, admitted, head.commands))

  if (Number(request.headers['content-length']) > limits.maxPushBytes + bytes.length) {
    return await refuse(operation, request, reply, new TooLargeError(`a push may have ${limits.maxPushBytes} bytes`), head)
  }
  if (await readsForeignFile(context, admitted)) {
    return await refuse(operation, request, reply, new RefusedError('the repository\'s receive.fsck.skipList is not trusted'), head)
  }
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
  const whole = isStaged ? wholeness(body) : null
  const point = await hookPoint(context, request, admitted, { record, push, moved, whole })
  const report = new ReportStage(head, { refused, messages: push.messages, rephrase: (ref) => point?.reason ?? point?.reasons.get(ref) })
  const run: Run = {
    operation,
    admitted,
    args: [...sizeOptions(limits.maxPushBytes), ...point?.args ?? [], 'receive-pack', '--stateless-rpc', admitted.repository.directory],
    body,
    head: refused.length === 0 ? bytes : encodePushHead(head, kept) ?? bytes,
    owned: !isStaged,
    prefix: null,
    point,
    onOutput: (chunk) => reader.update(chunk),
    stages: [report],
    limit: post.gzip ? null : limit
  }
  try {
    return reply.send(await runService(context, request, run))
  } catch (error) {
    if (!(error instanceof BusyError)) throw error
    return await refuse(operation, request, reply, error, head)
  }
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

/** Asks onPush. */
async function decide (context: Context, request: FastifyRequest, operation: Operation, push: Push): Promise<void> {
  const { hooks } = context.options
  if (push.commands.length === 0 || !isHeard(hooks, 'onPush')) return
  try {
    await callWithin(hooks.deadline, operation.over, async (signal) => await tell(hooks, 'onPush', push.view(signal)))
  } catch (error) {
    push.rejectAll(hookFailure(error, request, operation))
  }
}

/** Resolves when the whole body has ended well, behind the host's stage. */
function wholeness (body: Readable): Promise<void> {
  const end = finished(body, { writable: false })
  // Whoever feeds git hears of it as well.
  end.catch(() => {})
  return end
}

/** Where symbolic refs lead, if anybody wants to know. */
async function resolveCommands ({ options: { hooks } }: Context, { repository, namespace }: Admitted, commands: readonly PushCommand[]): Promise<GitPushCommand[]> {
  const wanted = (['onPush', 'preReceive', 'postReceive'] as const).some((name) => isHeard(hooks, name))
  const resolved: GitPushCommand[] = []
  for (const command of commands) {
    resolved.push({ ...command, touches: wanted ? await touchedRefs(repository, namespace, command.ref) : [command.ref] })
  }
  return resolved
}

/** What happens at git's hook points. */
interface AtHookPoint {
  record: OperationRecord
  push: Push
  moved: () => PushCommand[]
  /** git does not read what follows a pack, so it gets to its hook before the host's stage has seen the end. */
  whole: Promise<void> | null
}

/** git's own hook points, if anybody wants to hear of them. */
async function hookPoint (context: Context, request: FastifyRequest, { repository, environment }: Admitted, { record, push, moved, whole }: AtHookPoint): Promise<HookPoint | null> {
  const { env, options: { git, hooks }, starter } = context
  const [before, after] = [whole !== null || isHeard(hooks, 'preReceive'), isHeard(hooks, 'postReceive')]
  if (push.commands.length === 0 || (!before && !after)) return null
  const config = await context.readConfig(repository)
  const folder = await hooksPath(repository, config.get('core.hookspath'), starter, git.config, env)
  return await openHookPoint({
    folder: await context.hookFolder(),
    repository,
    own: await ownHooks(repository, folder),
    deadline: hooks.deadline,
    start: async (args, own, options) => await startFor(context, repository, args, { ...environment, ...own }, options),
    preReceive: !before
      ? undefined
      : async (call) => {
        try {
          await whole
          call.signal.throwIfAborted()
          await tell(hooks, 'preReceive', push.preReceive(call))
          return push.verdict(hooks.partial)
        } catch (error) {
          // Whoever aborted it says why.
          if (call.signal.aborted) throw call.signal.reason
          record.fail(isOurs(error) ? error : new InternalError(), { inBand: true })
          return { ok: false, reason: publicReason(error, request.id, request.log) }
        }
      },
    moved,
    postReceive: !after ? undefined : async (call) => await tell(hooks, 'postReceive', push.postReceive(call)),
    onError: (err, hook) => {
      if (hook === 'pre-receive' && err instanceof HookTimeout) record.fail(new HookTimeoutError(), { inBand: true })
      request.log.error({ err, hook }, 'a hook failed')
    }
  })
}
