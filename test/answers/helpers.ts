import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Exchange } from '../fixtures/http-backend.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { writeScript } from '../fixtures/shims.ts'
import { packet } from '../differential/helpers.ts'

export interface Counted {
  folder: string
  /** The option `git`: the real one, which leaves a line for every start. */
  git: { path: string }
  /** What was started since the last call: `config`, `upload-pack`, `upload-pack --advertise-refs`, ... */
  started (): Promise<string[]>
}

/** A git that counts its starts. `body` is shell that runs before the real one. */
export async function countedGit (t: TestContext, body = ''): Promise<Counted> {
  const folder = await temporaryFolder(t)
  const log = join(folder, 'started')
  const path = await writeScript(folder, 'counted-git', `echo "$*" >> '${log}'\n${body}\nexec git "$@"`)
  return {
    folder,
    git: { path },
    started: async () => {
      const text = await readFile(log, 'utf8').catch(() => '')
      await rm(log, { force: true })
      return text.split('\n').filter((line) => line !== '').map(kindOf).sort()
    }
  }
}

/** A command line without git's own options and folders. */
function kindOf (line: string): string {
  return line.replace(/-c \S+ /g, '').replace(/(?:--git-dir=)?\/\S+/g, '').replace(/--strict |--stateless-rpc |--show-origin |-z/g, '').replace(/\s+/g, ' ').trim()
}

export type Line = string | { raw: string }

/** An `ls-refs` request with these arguments. */
export function lsRefs (name: string, args: string[], { capabilities = [], headers = {} }: { capabilities?: string[], headers?: Record<string, string> } = {}): Exchange {
  const body = ['command=ls-refs\n', ...capabilities].map(packet).join('') + '0001' + args.map(packet).join('') + '0000'
  return {
    method: 'POST',
    target: `/${name}/git-upload-pack`,
    headers: { 'content-type': 'application/x-git-upload-pack-request', 'git-protocol': 'version=2', ...headers },
    body
  }
}

/** A discovery request. */
export function discovery (name: string, service: 'upload-pack' | 'receive-pack', protocol?: string, headers: Record<string, string> = {}): Exchange {
  return {
    target: `/${name}/info/refs?service=git-${service}`,
    headers: { ...headers, ...(protocol === undefined ? {} : { 'git-protocol': protocol }) }
  }
}

/** What git asks before a large push. */
export function probe (name: string, service: 'upload-pack' | 'receive-pack' = 'receive-pack'): Exchange {
  return { method: 'POST', target: `/${name}/git-${service}`, headers: { 'content-type': `application/x-git-${service}-request` }, body: '0000' }
}

/** Everything that needs no process once it is known. */
export function warmExchanges (name: string): Exchange[] {
  const heads = ['ref-prefix refs/heads/\n']
  return [
    ...[undefined, 'version=1', 'version=2'].map((protocol) => discovery(name, 'upload-pack', protocol)),
    ...[undefined, 'version=1', 'version=2'].map((protocol) => discovery(name, 'receive-pack', protocol)),
    probe(name),
    probe(name, 'upload-pack'),
    lsRefs(name, []),
    lsRefs(name, ['peel\n', 'symrefs\n', 'unborn\n', ...heads, 'ref-prefix refs/tags/\n', 'ref-prefix HEAD\n']),
    lsRefs(name, ['peel']),
    lsRefs(name, ['symrefs', ...heads]),
    lsRefs(name, ['unborn', 'symrefs']),
    lsRefs(name, ['ref-prefix refs/nothing']),
    lsRefs(name, heads, { capabilities: ['agent=git/2.39.5', 'object-format=sha1'] })
  ]
}
