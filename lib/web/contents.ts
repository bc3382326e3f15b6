import type { GitDirectory } from '../repository/git-directory.ts'
import type { ReadConfig } from '../repository/settings.ts'
import { ByState } from './by-state.ts'
import type { GitQuestions } from './git-questions.ts'
import { defaultBranch, detachedHead, newestRefs, type Ref } from './refs.ts'

/** Repositories whose contents are remembered; each is below 1 MiB, and a few KiB nearly always. */
const MAX_REMEMBERED = 50
/** Branches, and tags, of one page. */
const REFS = 50
const COMMITS = 20
/** Bytes of the commits of one page. */
const LIMIT = 64 * 1024
/** Columns that are shown of an author and of a subject: git cuts them, they may be of any length. */
const [AUTHOR, SUBJECT] = [60, 200]

export interface Commit {
  id: string
  author: string
  /** Seconds since 1970. */
  date: number | null
  subject: string
}

/** What a repository's page shows. A part is null when git could not tell it. */
export interface Contents {
  branches: Ref[] | null
  tags: Ref[] | null
  commits: Commit[] | null
  /** The branch of the commits; null for a detached HEAD. */
  branch: string | null
  /** There are more than are shown. */
  more: { branches: boolean, tags: boolean }
}

export type ReadContents = (repository: GitDirectory) => Promise<Contents>

/** Builds the reader of a repository's contents; they are remembered until its refs change. */
export function createReadContents (git: GitQuestions, readConfig: ReadConfig): ReadContents {
  const remembered = new ByState<Contents>(MAX_REMEMBERED, readConfig, async (repository, config) => {
    const newest = async (prefix: string): Promise<Ref[] | null> => await newestRefs(git, repository, config, prefix, REFS + 1).catch(() => null)
    const [branches, tags, head] = await Promise.all([newest('refs/heads'), newest('refs/tags'), defaultBranch(git, repository, config)])
    const start = await startOfHistory(head, branches)
    return {
      branches: branches?.slice(0, REFS) ?? null,
      tags: tags?.slice(0, REFS) ?? null,
      commits: start === null ? [] : await commits(repository.directory, start.id).catch(() => null),
      branch: start?.branch ?? null,
      more: { branches: (branches?.length ?? 0) > REFS, tags: (tags?.length ?? 0) > REFS }
    }

    /** The default branch if it exists, otherwise the one that was changed last; a detached HEAD; null when there is none. */
    async function startOfHistory (head: string | null, branches: Ref[] | null): Promise<{ id: string, branch: string | null } | null> {
      const name = `refs/heads/${head}`
      const listed = branches?.find((ref) => ref.name === name)
      // It may be older than those that are shown.
      const [older] = listed !== undefined || head === null ? [] : await newestRefs(git, repository, config, name, 1).catch(() => [])
      const found = listed ?? (older?.name === name ? older : undefined)
      const detached = head === null ? await detachedHead(repository) : null
      if (detached !== null) return { id: detached, branch: null }
      const start = found ?? branches?.[0]
      return start === undefined ? null : { id: start.id, branch: start.name.slice('refs/heads/'.length) }
    }
  })
  return async (repository) => await remembered.get(repository)

  async function commits (directory: string, id: string): Promise<Commit[]> {
    // rev-list and not log: no setting of the repository changes what it does.
    const format = `--format=%H%x00%at%x00%<(${AUTHOR},trunc)%an%x00%<(${SUBJECT},trunc)%s`
    const output = await git.ask(directory, ['rev-list', `--max-count=${COMMITS}`, '--no-commit-header', '--encoding=UTF-8', format, id, '--'], LIMIT)
    return output.split('\n').filter((line) => line !== '').map((line) => {
      const [id = '', date = '', author = '', subject = ''] = line.split('\0')
      return { id, date: /^\d+$/.test(date) ? Number(date) : null, author: author.trimEnd(), subject: subject.trimEnd() }
    })
  }
}
