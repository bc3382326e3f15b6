import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { startFor, type Context } from '../context.ts'
import { unpack } from '../git/unpack.ts'
import { callWithin, isHeard, publicReason, tell } from '../hook-runner.ts'
import type { GitPushCommand } from '../hooks.ts'
import { drain } from '../limits/drain.ts'
import type { Operation } from '../limits/operations.ts'
import { encodePushHead, type PushCommand } from '../protocol/push-head.ts'
import { pushReport } from '../protocol/report-status.ts'
import { hooksPath, ownHooks } from '../push/hook-own.ts'
import { openHookPoint, type HookPoint } from '../push/hook-point.ts'
import { Push } from '../push/push.ts'
import { readPushHead } from '../push/read-head.ts'
import { ReportStage } from '../push/report-stage.ts'
import { touchedRefs } from '../push/symbolic-refs.ts'
import type { Admitted } from './admit.ts'
import { runService } from './run-service.ts'

/** Bytes of the pack of a refused push that are read, so that its sender reads why. */
const MAX_REFUSED = 2 * 1024 ** 3

/** A request to receive-pack, as it came from the client. */
export interface ReceivePackRequest {
  operation: Operation
  admitted: Admitted
  body: Readable
  gzip: boolean
}

/** Decides on a push by its commands, then gives it to git (gitprotocol-pack(5), "Reference Update Request and Packfile Transfer"). */
export async function receivePack (context: Context, request: FastifyRequest, reply: FastifyReply, { operation, admitted, body: sent, gzip }: ReceivePackRequest): Promise<FastifyReply> {
  const { hooks, limits } = context.options
  const { record } = operation
  const stage = hooks.transformRequest?.(admitted.operation, request) ?? null
  const body = unpack(sent, { gzip, stage })
  const { head, bytes, putBack } = await readPushHead(body, limits.idleTimeout)
  if (body === sent) record.putBack(putBack)
  const push = new Push(admitted.operation, request, head, await resolveCommands(context, admitted, head.commands))

  await decide(context, request, operation, push)
  const refused = push.rejected(hooks.partial)
  if (refused.length > 0 && refused.length === head.commands.length) {
    record.refuse()
    await drain(body, MAX_REFUSED)
    return reply.send(pushReport({ unpack: 'ok', refs: refused, messages: push.messages }, head.capabilities))
  }
  const kept = head.commands.filter(({ ref }) => !refused.some((other) => other.ref === ref))
  const point = await hookPoint(context, request, admitted, push)
  const report = new ReportStage(head, { commands: kept, refused, messages: push.messages, rephrase: (ref) => point?.reason ?? point?.reasons.get(ref) })
  const answer = await runService(context, request, {
    operation,
    admitted,
    args: [...point?.args ?? [], 'receive-pack', '--stateless-rpc', admitted.repository.directory],
    body,
    head: refused.length === 0 ? bytes : encodePushHead(head, kept) ?? bytes,
    owned: stage === null,
    prefix: null,
    point,
    stages: [report]
  })
  return reply.send(answer)
}

/** Asks onPush. */
async function decide (context: Context, request: FastifyRequest, { over, record }: Operation, push: Push): Promise<void> {
  const { hooks } = context.options
  if (push.commands.length === 0 || !isHeard(hooks, 'onPush')) return
  try {
    await callWithin(hooks.deadline, over, async (signal) => await tell(hooks, 'onPush', push.view(signal)))
  } catch (error) {
    record.fail(error, { inBand: true })
    push.rejectAll(publicReason(error, request.id, request.log))
  }
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

/** git's own hook points, if anybody wants to hear of them. */
async function hookPoint (context: Context, request: FastifyRequest, { repository, environment }: Admitted, push: Push): Promise<HookPoint | null> {
  const { env, options: { git, hooks }, starter } = context
  const [before, after] = [isHeard(hooks, 'preReceive'), isHeard(hooks, 'postReceive')]
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
          await tell(hooks, 'preReceive', push.preReceive(call))
          return push.verdict(hooks.partial)
        } catch (error) {
          return { ok: false, reason: publicReason(error, request.id, request.log) }
        }
      },
    postReceive: !after ? undefined : async (call) => await tell(hooks, 'postReceive', push.postReceive(call)),
    onError: (err, hook) => request.log.error({ err, hook }, 'a hook failed')
  })
}
