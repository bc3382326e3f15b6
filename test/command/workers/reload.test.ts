import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { git, tryGit } from '../../fixtures/git.ts'
import { eventually } from '../../fixtures/processes.ts'
import { commitRandom } from '../../fixtures/repository.ts'
import { MB, replaced, startWorkers } from './scene.ts'

const RELOADS = 3

test('three reloads under load lose no clone and no push', async (t) => {
  const scene = await startWorkers(t, { workers: '2', args: ['--allow-push', '--host', '127.0.0.1'], size: 3 * MB })
  const over = new AbortController()
  const counts = { clones: 0, pushes: 0 }

  async function cloning (name: string): Promise<void> {
    const into = join(scene.folder, name)
    while (!over.signal.aborted) {
      const { code, stderr } = await tryGit(['clone', '--quiet', '--bare', scene.appUrl, into])
      assert.equal(code, 0, `clone: ${stderr}`)
      await rm(into, { recursive: true })
      counts.clones++
    }
  }

  /** Above 1 MiB git sends chunks, after a probe: several requests on one connection. */
  async function pushing (branch: string): Promise<void> {
    const work = join(scene.folder, branch)
    await git(['clone', '--quiet', scene.appUrl, work])
    while (!over.signal.aborted) {
      const commit = await commitRandom(work, 'more.bin', 1.5 * MB)
      const { code, stderr } = await tryGit(['push', '--quiet', 'origin', `HEAD:refs/heads/${branch}`], { cwd: work })
      assert.equal(code, 0, `push: ${stderr}`)
      assert.equal(await git(['rev-parse', branch], { cwd: scene.served }), commit)
      counts.pushes++
    }
  }

  const clients = Promise.all([cloning('one'), cloning('two'), pushing('three'), pushing('four')])
  const reloads = (async () => {
    for (let i = 0; i < RELOADS; i++) {
      const { clones, pushes } = counts
      const before = scene.workers()
      scene.child.kill('SIGHUP')
      await replaced(scene, before)
      // Each generation of workers serves some.
      await eventually(async () => counts.clones >= clones + 2 && counts.pushes >= pushes + 2, 60_000, 'clones and pushes go on')
    }
  })().finally(() => { over.abort() })
  await Promise.race([clients, reloads])
  await Promise.all([clients, reloads])
  await git(['fsck', '--strict'], { cwd: scene.served })
  assert.deepEqual(scene.lines().filter(({ outcome }) => outcome !== undefined && outcome !== 'completed'), [])
})
