import { packet, cloneRequest, type HttpRequest } from './discovery-workloads.ts'
import type { Repository } from './packs-repositories.ts'

/** What git 2.39 says to fetch, with the lines that follow the delimiter packet. */
function fetch ({ name }: Repository, lines: string[]): HttpRequest {
  const capabilities = ['command=fetch', 'agent=git/2.39.5', 'object-format=sha1']
  return { ...cloneRequest(name, []), body: `${capabilities.map(packet).join('')}0001${lines.map(packet).join('')}0000` }
}

const want = (id: string): string => `want ${id}\n`

/** Recorded from `git clone --depth 1`; it names the commit twice, for HEAD and for the branch. */
export function shallowClone (repository: Repository, id: string = tip(repository)): HttpRequest {
  return fetch(repository, ['thin-pack', 'no-progress', 'include-tag', 'ofs-delta', 'deepen 1', want(id), want(id), 'done\n'])
}

/** Recorded from `git clone`: HEAD, the branch, and every tag. */
export function fullClone (repository: Repository): HttpRequest {
  return fetch(repository, ['thin-pack', 'no-progress', 'ofs-delta', ...[tip(repository), tip(repository), ...repository.tags].map(want), 'done\n'])
}

/** Recorded from `git clone --no-tags`, for a branch that ends at this commit. */
export function historyOf (repository: Repository, id: string): HttpRequest {
  return fetch(repository, ['thin-pack', 'no-progress', 'ofs-delta', want(id), want(id), 'done\n'])
}

/** Commits from the newest third, `count` other ones for each turn. */
export function commitsOf ({ commits }: Repository, turn: number, count: number): string[] {
  const third = Math.floor(commits.length / 3)
  return Array.from({ length: count }, (_, n) => {
    const index = ((turn - 1) * count + n) * 7919 % third
    return commits[commits.length - 2 - index] as string
  })
}

function tip ({ commits }: Repository): string {
  return commits.at(-1) as string
}
