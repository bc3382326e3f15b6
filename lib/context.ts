import type { Access } from './access/authorize.ts'
import type { Identify } from './access/basic-auth.ts'
import type { AnswerCache } from './answers/answer-cache.ts'
import { gitOptions } from './git/environment.ts'
import { startGit, type GitProcess } from './git/git-process.ts'
import type { Operations } from './limits/operations.ts'
import type { ResolvedOptions } from './options.ts'
import type { Creator } from './repository/create.ts'
import type { GitDirectory } from './repository/git-directory.ts'
import type { Locate } from './repository/locate.ts'
import type { ReadRefs } from './repository/refs.ts'
import type { ReadConfig } from './repository/settings.ts'

/** What the routes of one registration share. */
export interface Context {
  options: ResolvedOptions
  /** The inherited, allowlisted environment. */
  env: Record<string, string>
  locate: Locate
  readConfig: ReadConfig
  readRefs: ReadRefs
  /** null when nothing is to be remembered. */
  answers: AnswerCache | null
  identify: Identify
  access: Access
  creator: Creator
  operations: Operations
}

/** Starts git for a repository with the options that every git of this registration gets. */
export async function startFor (context: Context, repository: GitDirectory, args: string[], env: Record<string, string>, write = false): Promise<GitProcess> {
  const { git } = context.options
  return await startGit(git.path, [...gitOptions(repository.directory, git.config, write), ...args], { ...context.env, ...env })
}
