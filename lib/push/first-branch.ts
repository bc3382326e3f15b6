import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GitFailedError } from '../errors.ts'
import { gitOptions } from '../git/environment.ts'
import type { Starter } from '../git/starter.ts'
import type { GitDirectory } from '../repository/git-directory.ts'
import { symbolicTarget } from './symbolic-refs.ts'

const BRANCHES = 'refs/heads/'
/** Where a push has several, one of these is meant. */
const USUAL = ['refs/heads/main', 'refs/heads/master']
/** What `git symbolic-ref` says when something is wrong, at most, in bytes. */
const OUTPUT_LIMIT = 65_536

/**
 * Points HEAD of a repository without branches at one that a push creates (git-symbolic-ref(1)), unless it creates the one that
 * HEAD names: git gives a new repository init.defaultBranch of the server, which the pusher does not know, and a clone
 * of it would check nothing out.
 *
 * @throws GitFailedError, GitUnavailableError
 */
export async function followFirstBranch (starter: Starter, { directory, common }: GitDirectory, env: Record<string, string>, created: string[]): Promise<void> {
  const branch = [...USUAL, ...created].find((ref) => created.includes(ref) && ref.startsWith(BRANCHES))
  if (branch === undefined || directory !== common || !await isWithoutBranches(directory)) return
  const target = await symbolicTarget(join(directory, 'HEAD'))
  // A HEAD without a target is somebody's decision.
  if (target === null || created.includes(target)) return
  const { code } = await starter.capture([...gitOptions(directory, {}), `--git-dir=${directory}`, 'symbolic-ref', 'HEAD', branch], env, OUTPUT_LIMIT)
  if (code !== 0) throw new GitFailedError()
}

/** For certain: with reftable, refs/heads is a file. */
async function isWithoutBranches (directory: string): Promise<boolean> {
  try {
    if ((await readdir(join(directory, BRANCHES))).length > 0) return false
    return await stat(join(directory, 'packed-refs')).then(() => false, ({ code }: NodeJS.ErrnoException) => code === 'ENOENT')
  } catch {
    return false
  }
}
