import { openHookGit, type GitRun, type StartHere } from './hook-git.ts'
import type { HookCommand } from './hook-records.ts'

/** What a hook in TypeScript gets. */
export interface HookCall {
  /** As git feeds them to a hook: in pre-receive all of the push, in post-receive those that moved. */
  commands: HookCommand[]
  /** What git tells a hook: the quarantine, push options (GIT_PUSH_OPTION_*), the certificate (GIT_PUSH_CERT*). */
  environment: Record<string, string>
  /** The pusher reads this as `remote:` lines, at once. */
  message (text: string): void
  /** See {@link HookGit.run}. */
  git (args: string[], options?: { input?: boolean }): Promise<GitRun>
  /** Aborted at the deadline, when the push ends, and when the hook itself has ended. */
  signal: AbortSignal
}

/** `rejected` holds the refs that must not move, each with the reason that its pusher reads. */
export type HookVerdict = { ok: true, rejected?: ReadonlyMap<string, string> } | { ok: false, reason: string }

export interface CallOptions {
  commands: HookCommand[]
  environment: Record<string, string>
  /** Milliseconds. */
  deadline: number
  /** Aborted when the push ends. */
  push: AbortSignal
  start: StartHere
  say (text: string): void
  /** Waits for what the hook has started to end. */
  keep (ending: Promise<void>): void
}

/** A hook did not end in time. */
export class HookTimeout extends Error {
  constructor (name: string) {
    super(`${name} did not end in time`)
  }
}

/**
 * Calls a hook. Whatever it has started is ended after it.
 *
 * @throws HookTimeout; the reason of `push`; what the hook throws.
 */
export async function callHook<Result> (name: string, hook: (call: HookCall) => Result | Promise<Result>, options: CallOptions): Promise<Result> {
  const { commands, environment, deadline, push } = options
  const over = new AbortController()
  const { signal } = over
  const onPushEnd = (): void => over.abort(push.reason)
  push.addEventListener('abort', onPushEnd, { once: true })
  if (push.aborted) onPushEnd()
  const timer = setTimeout(() => over.abort(new HookTimeout(name)), deadline)
  const git = openHookGit(options.start, environment, signal)
  const call: HookCall = {
    commands,
    environment,
    message: (text) => { if (!signal.aborted) options.say(text) },
    git: async (args, settings) => await git.run(args, settings),
    signal
  }
  try {
    return await Promise.race([aborted(signal), (async () => await hook(call))()])
  } finally {
    clearTimeout(timer)
    push.removeEventListener('abort', onPushEnd)
    over.abort(new Error(`${name} is over`))
    options.keep(git.ended())
  }
}

function aborted (signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
