import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import type { FetchQuestion } from '../fixtures/fetch-request.ts'
import { git } from '../fixtures/git.ts'
import { history, makeRepository } from '../fixtures/repository.ts'

export type Format = 'sha1' | 'sha256'

/** What a client has: a repository of its own, and what it says of it. */
export interface Client {
  directory: string | null
  haves: string[]
  shallows: string[]
}

export interface MatrixScene {
  served: string
  /** Ids by what they stand for. */
  wants: Record<string, string[]>
  clients: Record<string, Client>
}

/** One cell of the matrix. */
export interface Cell {
  protocol: 0 | 1 | 2
  want: string
  client: string
  depth: string[]
  filter: string[]
  capabilities: string[]
}

/** A repository with two branches, a merge, tags of all kinds, and clients that are at several places of its history. */
export async function makeMatrixScene (root: string, format: Format): Promise<MatrixScene> {
  const served = await makeRepository(root, 'app.git', { commits: 30, init: [`--object-format=${format}`] })
  const at = { cwd: served }
  await git(['fast-import', '--quiet'], { ...at, input: history('refs/heads/topic', 8) })
  const id = async (name: string): Promise<string> => await git(['rev-parse', name], at)
  const merge = await git(['commit-tree', '-m', 'merge', '-p', 'main', '-p', 'topic', 'main^{tree}'], at)
  await git(['update-ref', 'refs/heads/merged', merge], at)
  await git(['tag', '-a', '-m', 'one', 'v1', 'main~20'], at)
  await git(['tag', '-a', '-m', 'two', 'v2', 'main~2'], at)
  await git(['tag', 'light', 'main~8'], at)
  await git(['tag', '-a', '-m', 'a tag of a tag', 'outer', 'v1'], at)
  for (const [key, value] of [['allowFilter', 'true'], ['allowSidebandAll', 'true']]) await git(['config', `uploadpack.${key}`, value as string], at)
  await git(['repack', '-adq'], at)

  const clients: Record<string, Client> = { nothing: { directory: null, haves: [], shallows: [] } }
  await mkdir(join(root, 'clients'))
  for (const [name, tip, options] of [['old', 'main~12', []], ['shallow', 'main~6', ['--depth=3']], ['stranger', '', []]] as const) {
    const directory = join(root, 'clients', name)
    await git(['init', '--quiet', '--bare', `--object-format=${format}`, directory])
    if (tip === '') await git(['fast-import', '--quiet'], { cwd: directory, input: history('refs/heads/own', 3, 'own') })
    else await git(['-c', 'protocol.version=2', 'fetch', '--quiet', '--no-tags', ...options, `file://${served}`, `${await id(tip)}:refs/heads/own`], { cwd: directory })
    const haves = (await git(['rev-list', 'own'], { cwd: directory })).split('\n')
    const shallows = options.length > 0 ? [haves.at(-1) as string] : []
    clients[name] = { directory, haves, shallows }
  }
  return {
    served,
    wants: {
      main: [await id('main')],
      all: [await id('merged'), await id('topic'), await id('main'), await id('v1'), await id('v2'), await id('outer')],
      tag: [await id('outer')],
      // Not advertised, which v2 does not mind.
      past: [await id('main~4')],
      blob: [await id('main:file-1.txt')]
    },
    clients
  }
}

const DEPTHS = [[], [], ['deepen 1'], ['deepen 5'], ['deepen-since 1700000015'], ['deepen-not v1'], ['deepen-not refs/tags/light'], ['deepen-since 1700000003', 'deepen-not v1'], ['deepen 2147483647']]
const FILTERS = [[], [], ['filter blob:none'], ['filter tree:0'], ['filter blob:limit=12'], ['filter tree:2'], ['filter combine:blob:none+tree:3']]
const CAPABILITIES = ['thin-pack', 'no-progress', 'include-tag', 'ofs-delta']

/** Cells that a client could mean. */
function cells ({ wants, clients }: MatrixScene): fc.Arbitrary<Cell> {
  return fc.record({
    protocol: fc.constantFrom(2 as const, 2 as const, 2 as const, 1 as const, 0 as const),
    want: fc.constantFrom(...Object.keys(wants)),
    client: fc.constantFrom(...Object.keys(clients)),
    depth: fc.constantFrom(...DEPTHS),
    relative: fc.boolean(),
    filter: fc.constantFrom(...FILTERS),
    capabilities: fc.subarray(CAPABILITIES),
    sidebandAll: fc.boolean()
  }).map(({ relative, sidebandAll, ...cell }) => {
    const depth = relative && cell.client === 'shallow' ? ['deepen 2', 'deepen-relative'] : cell.depth
    if (cell.protocol === 2) return { ...cell, depth, capabilities: [...cell.capabilities, ...(sidebandAll ? ['sideband-all'] : [])] }
    return { ...cell, depth, want: ['past', 'blob'].includes(cell.want) ? 'all' : cell.want }
  })
}

/** A cell and a neighbour, which differs from it in one respect: the answer to the one must not be taken for the other's. */
export function neighbours (scene: MatrixScene): fc.Arbitrary<[Cell, Cell]> {
  const respects = fc.constantFrom('want' as const, 'client' as const, 'depth' as const, 'filter' as const, 'capabilities' as const)
  return fc.tuple(cells(scene), cells(scene), respects).map(([cell, other, respect]) => [cell, { ...cell, [respect]: other[respect] }])
}

/** The cell as a request. */
export function questionOf ({ wants, clients }: MatrixScene, cell: Cell, objectFormat: Format): FetchQuestion {
  const { haves, shallows } = clients[cell.client] as Client
  const question = { wants: wants[cell.want] as string[], haves, shallows, objectFormat }
  if (cell.protocol === 2) return { ...question, lines: [...cell.depth, ...cell.filter], capabilities: cell.capabilities }
  const names = cell.depth.map((line) => line.split(' ')[0] as string).filter((name) => name !== 'deepen')
  return {
    ...question,
    lines: [...cell.depth.filter((line) => line !== 'deepen-relative'), ...cell.filter],
    capabilities: [...cell.capabilities.filter((name) => name !== 'sideband-all'), ...new Set(names), ...(cell.filter.length > 0 ? ['filter'] : [])]
  }
}
