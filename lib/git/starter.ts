import { captureGit, type Captured } from './capture.ts'
import { startGit, type GitProcess, type StartOptions } from './git-process.ts'

export interface StarterCounters {
  /** Helper processes that are ready. */
  helpers: number
  /** Helpers that ended and were replaced. */
  restarts: number
  /** Gits that were asked for. */
  starts: number
  /** Starts that wait for a helper. */
  waiting: number
}

/** Whatever runs git, runs it through this. */
export interface Starter {
  /**
   * Starts git with exactly this environment, in `/`, as the leader of a process group. Resolves when it runs.
   *
   * @throws GitUnavailableError when it cannot be started: not found, no permission, no descriptors, no processes.
   */
  start (args: string[], env: Record<string, string>, options?: StartOptions): Promise<GitProcess>
  /**
   * Asks git a question whose answer is small. `limit` bounds the answer in bytes.
   *
   * @throws GitUnavailableError as `start`; GitFailedError when git was killed, was too slow or said too much.
   */
  capture (args: string[], env: Record<string, string>, limit: number): Promise<Captured>
  readonly counters?: StarterCounters
  /** Frees what the starter holds and ends what it runs. */
  close (): Promise<void>
}

/** Starts git from this process: simple, and slower the larger this process is. */
export function createDirectStarter (path: string): Starter {
  const counters: StarterCounters = { helpers: 0, restarts: 0, starts: 0, waiting: 0 }
  return {
    counters,
    start: async (args, env, options) => {
      counters.starts++
      return await startGit(path, args, env, options)
    },
    capture: async (args, env, limit) => {
      counters.starts++
      return await captureGit(path, args, env, limit)
    },
    close: async () => {}
  }
}
