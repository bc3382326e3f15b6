import type { Readable, Writable } from 'node:stream'
import { endGit } from '../git/end-process.ts'
import type { GitExit } from '../git/exit.ts'
import type { GitProcess, StartOptions } from '../git/git-process.ts'

/** A git that a hook has started. */
export interface GitRun {
  /** Ends at once unless input was asked for. */
  stdin: Writable
  /** Read it, or destroy it: git stops while nobody does. */
  stdout: Readable
  /** Settles once git has ended; never rejects. */
  exited: Promise<GitExit>
}

/** Starts git for the repository of a push, with all the options that any git of this server gets. */
export type StartHere = (args: string[], env: Record<string, string>, options: StartOptions) => Promise<GitProcess>

/** Runs git where a hook runs. */
export interface HookGit {
  /**
   * Runs git with these arguments: in pre-receive it sees the pushed objects, which nobody else does yet. It is for reading: git
   * refuses to update refs from there (GIT_QUARANTINE_PATH, git-receive-pack(1)), and
   * nothing keeps other commands from writing. Arguments that come from the push (a ref, an option) belong behind
   * `--end-of-options` or `--`.
   *
   * It is ended when the hook is over.
   *
   * @throws GitUnavailableError when it cannot be started; the signal's reason when the hook is over.
   */
  run (args: string[], options?: { input?: boolean }): Promise<GitRun>
  /** Resolves when nothing is left of what it has started; only after the signal. */
  ended (): Promise<void>
}

/** `env` is added to what `start` gives. `signal` ends everything. */
export function openHookGit (start: StartHere, env: Record<string, string>, signal: AbortSignal): HookGit {
  /** Those that run, or have said something that nobody has read yet. */
  const live = new Set<GitProcess>()
  const pending = new Set<Promise<unknown>>()
  signal.addEventListener('abort', () => { for (const git of live) keep(endGit(git, { write: false })) }, { once: true })

  async function begin (args: string[], input: boolean): Promise<GitProcess> {
    signal.throwIfAborted()
    const git = await start(args, env, { input })
    if (signal.aborted) {
      await endGit(git, { write: false })
      throw signal.reason
    }
    live.add(git)
    const closed = new Promise<void>((resolve) => { git.stdout.once('close', resolve) })
    Promise.all([git.exited, closed]).then(() => live.delete(git))
    return git
  }

  function keep (promise: Promise<unknown>): void {
    pending.add(promise)
    const settled = (): void => { pending.delete(promise) }
    promise.then(settled, settled)
  }

  return {
    run: async (args, { input = false } = {}) => {
      const beginning = begin(args, input)
      keep(beginning)
      const { stdin, stdout, exited } = await beginning
      return { stdin, stdout, exited }
    },
    ended: async () => { while (pending.size > 0) await Promise.allSettled(pending) }
  }
}
