/** What the host's hooks say to a push: onPush before git, preReceive and postReceive at git's own hook points. */
import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { FastifyRequest } from 'fastify'
import { startFor, type Context } from '../context.ts'
import { HookTimeoutError, InternalError, isOurs } from '../errors.ts'
import { callWithin, hookFailure, isHeard, publicReason, tell } from '../hook-runner.ts'
import type { GitPushCommand } from '../hooks.ts'
import type { Operation } from '../limits/operations.ts'
import type { OperationRecord } from '../limits/record.ts'
import type { PushCommand } from '../protocol/push-head.ts'
import { HookTimeout } from '../push/hook-call.ts'
import { hooksPath, ownHooks } from '../push/hook-own.ts'
import { openHookPoint, type HookPoint } from '../push/hook-point.ts'
import type { Push } from '../push/push.ts'
import { touchedRefs } from '../push/symbolic-refs.ts'
import type { Admitted } from './admit.ts'

/** Asks onPush. */
export async function decide (context: Context, request: FastifyRequest, operation: Operation, push: Push): Promise<void> {
  const { hooks } = context.options
  if (push.commands.length === 0 || !isHeard(hooks, 'onPush')) return
  try {
    await callWithin(hooks.deadline, operation.over, async (signal) => await tell(hooks, 'onPush', push.view(signal)))
  } catch (error) {
    push.rejectAll(hookFailure(error, request, operation))
  }
}

/** Resolves when the whole body has ended well, behind the host's stage. */
export function wholeness (body: Readable): Promise<void> {
  const end = finished(body, { writable: false })
  // Whoever feeds git hears of it as well.
  end.catch(() => {})
  return end
}

/** Where symbolic refs lead, if anybody wants to know. */
export async function resolveCommands ({ options: { hooks } }: Context, { repository, namespace }: Admitted, commands: readonly PushCommand[]): Promise<GitPushCommand[]> {
  const wanted = (['onPush', 'preReceive', 'postReceive'] as const).some((name) => isHeard(hooks, name))
  const resolved: GitPushCommand[] = []
  for (const command of commands) {
    resolved.push({ ...command, touches: wanted ? await touchedRefs(repository, namespace, command.ref) : [command.ref] })
  }
  return resolved
}

/** What happens at git's hook points. */
export interface AtHookPoint {
  record: OperationRecord
  push: Push
  moved: () => PushCommand[]
  /** git does not read what follows a pack, so it gets to its hook before the host's stage has seen the end. */
  whole: Promise<void> | null
}

/** git's own hook points, if anybody wants to hear of them. */
export async function hookPoint (context: Context, request: FastifyRequest, { repository, environment }: Admitted, { record, push, moved, whole }: AtHookPoint): Promise<HookPoint | null> {
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
