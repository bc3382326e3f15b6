import { join } from 'node:path'
import type { GitDirectory } from '../repository/git-directory.ts'
import type { ReadConfig } from '../repository/settings.ts'
import { ByState } from './by-state.ts'
import type { GitQuestions } from './git-questions.ts'
import { defaultBranch, newestRefs } from './refs.ts'
import { readBeginning } from './small-file.ts'

/** Repositories whose figures are remembered. */
const MAX_REMEMBERED = 5_000
/** Bytes of a description that are read. */
const DESCRIPTION = 4_096
const COUNTS = 4_096

/** What only git tells about a repository. */
export interface Figures {
  /** The branch that HEAD names, whether it exists or not; null for a detached HEAD, and for a branch that is hidden. */
  branch: string | null
  /** The newest commit of any branch, seconds since 1970; null without one. */
  updated: number | null
  /** Bytes of its objects. */
  size: number
}

export type ReadFigures = (repository: GitDirectory) => Promise<Figures>

/** Builds the reader of a repository's figures; they are remembered until its refs change. */
export function createReadFigures (git: GitQuestions, readConfig: ReadConfig): ReadFigures {
  const remembered = new ByState<Figures>(MAX_REMEMBERED, readConfig, async (repository, config) => {
    const [branch, [newest], counts] = await Promise.all([
      defaultBranch(git, repository, config),
      newestRefs(git, repository, config, 'refs/heads', 1),
      git.ask(repository.directory, ['count-objects', '-v'], COUNTS)
    ])
    return { branch, updated: newest?.date ?? null, size: sizeOf(counts) }
  })
  return async (repository) => await remembered.get(repository)
}

/** git-count-objects(1), -v: sizes are in KiB. */
function sizeOf (counts: string): number {
  return ['size', 'size-pack'].reduce((sum, key) => sum + 1024 * Number(new RegExp(`^${key}: (\\d+)$`, 'm').exec(counts)?.[1] ?? 0), 0)
}

/** The file `description`, but for what git puts there when it makes a repository. */
export async function readDescription ({ common }: GitDirectory): Promise<string> {
  const text = (await readBeginning(join(common, 'description'), DESCRIPTION)).trim().replace(/\s+/g, ' ')
  return text.startsWith('Unnamed repository; edit this file') ? '' : text
}
