import { channel } from 'node:diagnostics_channel'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { HookTimeoutError, InternalError, isOurs } from './errors.ts'
import type { GitHttpHooks } from './hooks.ts'
import type { Operation } from './limits/operations.ts'
import type { Awaitable } from './operation.ts'

/** The hooks that are called with one payload. */
export type HookName = 'onFetch' | 'onPush' | 'preReceive' | 'postReceive' | 'onFinish'

const CHANNELS = new Map((['onFetch', 'onPush', 'preReceive', 'postReceive', 'onFinish'] as const).map((name) => [name, channel(`fastify-git-http.${name}`)]))

/** Whether anybody wants to hear of this: a hook, or a subscriber of the channel `fastify-git-http.<name>` (node:diagnostics_channel). */
export function isHeard (hooks: GitHttpHooks, name: HookName): boolean {
  return hooks[name] !== undefined || CHANNELS.get(name)?.hasSubscribers === true
}

/** Tells subscribers, then calls the hook. */
export async function tell<T> (hooks: GitHttpHooks, name: HookName, payload: T): Promise<void> {
  CHANNELS.get(name)?.publish(payload)
  await (hooks[name] as ((payload: T) => Awaitable<void>) | undefined)?.(payload)
}

/**
 * Calls a hook with a signal that is aborted at its deadline and with `left`.
 *
 * @throws HookTimeoutError; errors of this package as they are; InternalError with the cause for any other.
 */
export async function callWithin (deadline: number, left: AbortSignal, call: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const over = new AbortController()
  const { signal } = over
  const leave = (): void => over.abort(left.reason)
  left.addEventListener('abort', leave, { once: true })
  if (left.aborted) leave()
  const timer = setTimeout(() => over.abort(new HookTimeoutError()), deadline)
  try {
    await Promise.race([
      new Promise<never>((_resolve, reject) => {
        if (signal.aborted) reject(signal.reason)
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      }),
      call(signal)
    ])
  } catch (cause) {
    throw isOurs(cause) ? cause : Object.assign(new InternalError(), { cause })
  } finally {
    clearTimeout(timer)
    left.removeEventListener('abort', leave)
  }
}

/** What the user reads in place of an answer when onPush or onFetch failed. A hook that was aborted did not fail: whoever aborted it says why. */
export function hookFailure (error: unknown, { id, log }: FastifyRequest, { over, record }: Operation): string {
  if (over.aborted) {
    record.fail(over.reason, { inBand: true })
    return (over.reason as Error).message
  }
  record.fail(error, { inBand: true })
  return publicReason(error, id, log)
}

/** What the user may read of an error that a hook threw; everything else goes to the log. */
export function publicReason (error: unknown, requestId: string, log: FastifyBaseLogger): string {
  const known = isOurs(error) ? error : Object.assign(new InternalError(), { cause: error })
  const status = (known as { statusCode?: number }).statusCode ?? 500
  if (status < 500) return known.message
  log.error({ err: (known as { cause?: unknown }).cause ?? known, code: known.code }, 'a hook failed')
  return `${known.message} (request ${requestId})`
}
