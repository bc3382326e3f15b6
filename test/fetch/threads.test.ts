import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { largeRepository, servePacks, tipOf } from '../fixtures/pack-scene.ts'
import { openFetch, postFetch } from '../fixtures/post-fetch.ts'
import { gitShim } from '../fixtures/shims.ts'

const MB = 1024 * 1024
const CORES = availableParallelism()

interface Started { threads: string[], memory: string, tunables: string }

interface Settings { packs?: boolean, environment?: Record<string, string>, config?: Record<string, string>, repository?: Record<string, string> }

/** How each git of `count` fetches is started, while those before it still run: nobody reads their answers. */
async function startAtOnce (t: TestContext, count: number, { packs = false, environment = {}, config = {}, repository = {} }: Settings): Promise<Started[]> {
  const folder = await temporaryFolder(t)
  const log = join(folder, 'log')
  const path = await gitShim(folder, 'upload-pack', `printf '%s|%s|%s\\n' "$MALLOC_TOP_PAD_" "$GLIBC_TUNABLES" "$*" >>'${log}'`)
  const scene = await servePacks(t, largeRepository(16 * MB), { packs: packs && {}, git: { path, config }, environment: () => environment, limits: { maxConcurrent: count, maxPerRepository: count, maxPerUser: count } })
  for (const [key, value] of Object.entries(repository)) await git(['config', key, value], { cwd: scene.served })
  const tip = await tipOf(scene.served)
  const responses: IncomingMessage[] = []
  for (let depth = 1; depth < count; depth++) {
    responses.push(await openFetch(scene.appUrl, fetchV2({ wants: [tip], lines: [`deepen ${depth}`] })))
  }
  assert.equal((await postFetch(scene.appUrl, fetchV2({ wants: [tip], haves: [tip] }))).status, 200)
  for (const response of responses) response.destroy()
  return (await readFile(log, 'utf8')).trim().split('\n').map((line) => {
    const [memory = '', tunables = '', args = ''] = line.split('|')
    return { memory, tunables, threads: args.split(' ').filter((arg) => arg.startsWith('pack.threads=')) }
  })
}

/** What the git gets of which `running` run, itself included. */
function share (running: number): string[] {
  const threads = Math.max(1, Math.floor(CORES / running))
  return threads < CORES ? [`pack.threads=${threads}`] : []
}

test('gits that run at once share the cores; one alone has them all', async (t) => {
  const count = Math.min(CORES, 4) + 1
  const started = await startAtOnce(t, count, {})
  assert.deepEqual(started.map(({ threads }) => threads), Array.from({ length: count }, (_, index) => share(index + 1)))
})

test('pack.threads of the repository or of the host counts, however many run', async (t) => {
  assert.deepEqual((await startAtOnce(t, 3, { repository: { 'pack.threads': '3' } })).map(({ threads }) => threads), [[], [], []])
  const own = ['pack.threads=3']
  assert.deepEqual((await startAtOnce(t, 3, { config: { 'pack.threads': '3' } })).map(({ threads }) => threads), [own, own, own])
})

for (const packs of [false, true]) {
  test(`git takes memory in larger steps for a fetch ${packs ? 'whose answer may be shared' : 'that is its own'}`, async (t) => {
    const { memory, tunables } = (await startAtOnce(t, 1, { packs })).at(-1) as Started
    assert.match(memory, /^\d{6,}$/)
    assert.equal(tunables, 'glibc.malloc.hugetlb=1')
  })
}

test('what the host puts into git\'s environment is stronger', async (t) => {
  const { memory, tunables } = (await startAtOnce(t, 1, { environment: { MALLOC_TOP_PAD_: '77', GLIBC_TUNABLES: 'glibc.malloc.hugetlb=0' } })).at(-1) as Started
  assert.deepEqual([memory, tunables], ['77', 'glibc.malloc.hugetlb=0'])
})
