import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { GitHttpHooks } from '../../lib/index.ts'
import { servePushes } from '../fixtures/push-scene.ts'
import { commitRandom } from '../fixtures/repository.ts'

// README: A quota for each repository
const QUOTA = 2_000_000

async function sizeOf (folder: string): Promise<number> {
  let size = 0
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) size += await stat(join(entry.parentPath, entry.name)).then((file) => file.size, () => 0)
  }
  return size
}

const hooks: GitHttpHooks = {
  preReceive: async (push) => {
    if (push.commands.every(({ kind }) => kind === 'delete')) return
    // The quarantine lies in the repository, so what was pushed counts.
    const size = await sizeOf(push.operation.directory)
    if (size > QUOTA) push.rejectAll(`${(size / 1e6).toFixed(1)} MB, the quota is ${QUOTA / 1e6} MB`)
  }
}

test('recipe: a quota for each repository', async (t) => {
  const scene = await servePushes(t, { hooks })
  await commitRandom(scene.work, 'a.bin', 1_500_000)
  assert.equal((await scene.push([scene.appUrl, 'main', 'main:topic'])).code, 0)
  await commitRandom(scene.work, 'b.bin', 1_000_000)
  assert.match((await scene.push([scene.appUrl, 'main'])).stderr, /main -> main \(2\.5 MB, the quota is 2 MB\)/)
  assert.equal((await scene.push([scene.appUrl, ':topic'])).code, 0)
  // What was refused does not count.
  assert.equal((await scene.push([scene.appUrl, 'main~1:refs/heads/again'])).code, 0)
})
