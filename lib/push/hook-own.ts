import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { GitFailedError } from '../errors.ts'
import { gitOptions } from '../git/environment.ts'
import type { Starter } from '../git/starter.ts'
import type { GitDirectory } from '../repository/git-directory.ts'

/** Longest path that git is expected to say, in bytes. */
const PATH_LIMIT = 65_536
/**
 * What receive-pack runs besides pre-receive and post-receive (builtin/receive-pack.c, refs.c), and what the git that it
 * starts runs: `read-tree` for updateInstead, `gc --auto`. For some of them a hook that does nothing is not the same as none.
 */
const OTHER_HOOKS = ['update', 'post-update', 'proc-receive', 'push-to-checkout', 'reference-transaction', 'post-index-change', 'pre-auto-gc']
const RECEIVE_HOOKS = ['pre-receive', 'post-receive']

/** The hooks that a repository has. */
export interface OwnHooks {
  /** Their folder as git would name it: relative to the folder in which git runs the hook, or absolute. */
  folder: string
  /** Those that git would run. */
  names: string[]
}

/**
 * The folder of a repository's own hooks. `configured` is `core.hooksPath` as `git config --list` shows it, undefined when
 * it is not set.
 *
 * @throws GitUnavailableError, GitFailedError when only git can tell what it means and does not.
 */
export async function hooksPath ({ directory, common }: GitDirectory, configured: string | null | undefined, starter: Starter, config: Record<string, string>, env: Record<string, string>): Promise<string> {
  // Without a value git refuses to work.
  if (configured == null) return join(common, 'hooks')
  if (configured.startsWith('~/')) return `${env['HOME'] ?? homedir()}${configured.slice(1)}`
  if (!/^(?:~|%\()/.test(configured)) return configured
  const args = [...gitOptions(directory, config), `--git-dir=${directory}`, 'config', '-z', '--type=path', 'core.hooksPath']
  const { code, stdout } = await starter.capture(args, env, PATH_LIMIT)
  if (code !== 0 || !stdout.endsWith('\0')) throw new GitFailedError()
  return stdout.slice(0, -1)
}

/** Which hooks the folder has. Like git, takes only what may be executed. */
export async function ownHooks ({ directory }: GitDirectory, folder: string): Promise<OwnHooks> {
  const found = await Promise.all([...RECEIVE_HOOKS, ...OTHER_HOOKS].map(async (name) =>
    // receive-pack runs in the repository's directory, and its hooks too. Not join(): an empty core.hooksPath means the root folder.
    await access(resolve(directory, `${folder}/${name}`), constants.X_OK).then(() => [name], () => [])))
  return { folder, names: found.flat() }
}
