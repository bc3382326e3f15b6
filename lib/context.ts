import { availableParallelism } from 'node:os'
import type { Access } from './access/authorize.ts'
import type { Identify } from './access/basic-auth.ts'
import type { AnswerCache } from './answers/answer-cache.ts'
import { gitOptions } from './git/environment.ts'
import type { GitProcess } from './git/git-process.ts'
import type { Starter } from './git/starter.ts'
import type { Sweep } from './git/sweep.ts'
import type { Admission, SlotAsker } from './limits/admission.ts'
import type { Operations } from './limits/operations.ts'
import type { ResolvedOptions } from './options.ts'
import type { PackCache } from './packs/pack-cache.ts'
import type { HookFolder } from './push/hook-folder.ts'
import type { Creator } from './repository/create.ts'
import type { GitDirectory } from './repository/git-directory.ts'
import type { Locate } from './repository/locate.ts'
import type { ReadRefs } from './repository/refs.ts'
import type { ReadConfig } from './repository/settings.ts'

const CORES = availableParallelism()

/** What the routes of one registration share. */
export interface Context {
  options: ResolvedOptions
  /** The inherited, allowlisted environment. */
  env: Record<string, string>
  starter: Starter
  locate: Locate
  readConfig: ReadConfig
  readRefs: ReadRefs
  /** null when nothing is to be remembered. */
  answers: AnswerCache | null
  /** null when each fetch is git's. */
  packs: PackCache | null
  identify: Identify
  access: Access
  creator: Creator
  admission: Admission
  operations: Operations
  sweep: Sweep
  /** Where git finds our hooks; made when it is needed first. */
  hookFolder: () => Promise<HookFolder>
}

/** What the options of a git depend on. */
export interface StartFor {
  /** It writes to the repository. Default false. */
  write?: boolean
  /** It is given something to read. Default true. */
  input?: boolean
  /** Its hooks reach the server from there, see {@link StartOptions.hookFolder}. */
  hookFolder?: string | undefined
}

/** Starts git for a repository with the options that every git of this registration gets. */
export async function startFor (context: Context, repository: GitDirectory, args: string[], env: Record<string, string>, { write, input, hookFolder }: StartFor = {}): Promise<GitProcess> {
  const { git } = context.options
  return await context.starter.start([...gitOptions(repository.directory, git.config, write), ...args], { ...context.env, ...env }, { input, write, hookFolder })
}

/** Gits that run at once share the cores; each would start a thread for every core. What somebody has set counts (git-config(1), pack.threads). */
async function threads ({ admission, readConfig }: Context, repository: GitDirectory): Promise<string[]> {
  const share = Math.max(1, Math.floor(CORES / admission.counters.running))
  if (share >= CORES || (await readConfig(repository)).get('pack.threads') !== undefined) return []
  return ['-c', `pack.threads=${share}`]
}

/** Who a git runs for. */
export type Beneficiary = Pick<SlotAsker, 'user' | 'address'>

/**
 * {@link startFor} when it is its turn. Not for a git that a hook starts: its push holds a slot already, and all pushes would
 * wait for each other.
 *
 * @throws BusyError, ClosingError, or the reason of `left`; GitUnavailableError.
 */
export async function startInTurn (context: Context, repository: GitDirectory, asker: Beneficiary & Pick<SlotAsker, 'left'>, args: string[], env: Record<string, string>, options?: StartFor): Promise<GitProcess> {
  const slot = await context.admission.acquire({ ...asker, repository: repository.directory })
  try {
    const git = await startFor(context, repository, [...await threads(context, repository), ...args], env, options)
    git.exited.then(() => slot.release())
    return git
  } catch (error) {
    slot.release()
    throw error
  }
}
