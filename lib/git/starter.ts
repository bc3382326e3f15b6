import { captureGit, type Captured } from './capture.ts'
import { startGit, type GitProcess, type StartOptions } from './git-process.ts'

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
  /** Frees what the starter holds and ends what it runs. */
  close (): Promise<void>
}

/** Starts git from this process: simple, and slower the larger this process is. */
export function createDirectStarter (path: string): Starter {
  return {
    start: async (args, env, options) => await startGit(path, args, env, options),
    capture: async (args, env, limit) => await captureGit(path, args, env, limit),
    close: async () => {}
  }
}
