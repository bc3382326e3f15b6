import { join } from 'node:path'
import type { GitDirectory } from '../repository/git-directory.ts'
import type { RepositoryConfig } from '../repository/settings.ts'
import type { GitQuestions } from './git-questions.ts'
import { readBeginning } from './small-file.ts'

/** Bytes of HEAD. */
const HEAD_LIMIT = 4_096
/** Bytes of the refs of one page. */
const LIMIT = 256 * 1024
/** Bytes of all refs, where some of them are hidden. */
const LIMIT_ALL = 8 * 1024 * 1024

export interface Ref {
  /** Full: `refs/heads/main`. */
  name: string
  /** What it points to. */
  id: string
  /** Seconds since 1970 of the commit or of the tag; null for what has none. */
  date: number | null
}

/** The newest `count` refs below `prefix` that a client would be shown. */
export async function newestRefs (git: GitQuestions, { directory }: GitDirectory, config: RepositoryConfig, prefix: string, count: number): Promise<Ref[]> {
  const visible = hidesRefs(config) ? await visibleRefs(git, directory) : null
  const args = ['for-each-ref', '--sort=-creatordate', '--format=%(refname)%00%(objectname)%00%(creatordate:unix)', prefix]
  if (visible === null) return parse(await git.ask(directory, [...args, `--count=${count}`], LIMIT))
  return parse(await git.ask(directory, args, LIMIT_ALL)).filter(({ name }) => visible.has(name)).slice(0, count)
}

/** The branch that HEAD names, whether it exists or not; null for a detached HEAD, and for a branch that a client would not be shown. */
export async function defaultBranch (git: GitQuestions, { directory }: GitDirectory, config: RepositoryConfig): Promise<string | null> {
  const branch = /^ref:\s*refs\/heads\/(.+?)\s*$/m.exec(await readBeginning(join(directory, 'HEAD'), HEAD_LIMIT))?.[1] ?? null
  if (branch === null || !hidesRefs(config)) return branch
  return (await visibleRefs(git, directory)).has(`refs/heads/${branch}`) ? branch : null
}

/** The commit of a HEAD that names no branch; null for one that does. */
export async function detachedHead ({ directory }: GitDirectory): Promise<string | null> {
  return /^[0-9a-f]{40,64}(?=\s*$)/.exec(await readBeginning(join(directory, 'HEAD'), HEAD_LIMIT))?.[0] ?? null
}

function parse (output: string): Ref[] {
  return output.split('\n').filter((line) => line !== '').map((line) => {
    const [name = '', id = '', date = ''] = line.split('\0')
    return { name, id, date: date === '' ? null : Number(date) }
  })
}

/** What a fetch does not show, a page does not show (git-config(1), uploadpack.hideRefs). */
function hidesRefs (config: RepositoryConfig): boolean {
  return config.get('transfer.hiderefs') !== undefined || config.get('uploadpack.hiderefs') !== undefined
}

/** Only git knows which they are; its advertisement (gitprotocol-pack(5), "Reference Discovery") tells. */
async function visibleRefs (git: GitQuestions, directory: string): Promise<Set<string>> {
  const output = await git.ask(directory, ['upload-pack', '--strict', '--advertise-refs', directory], LIMIT_ALL)
  const names = output.split('\n').map((line) => /^(?:0000)?[0-9a-f]{4}[0-9a-f]{40,64} (refs\/[^\0]*)/.exec(line)?.[1] ?? '')
  // Two names of other encodings look alike here: neither is trusted.
  return new Set(names.filter((name) => name !== '' && !name.includes('\ufffd')))
}
