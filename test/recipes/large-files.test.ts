import assert from 'node:assert/strict'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream'
import { test } from 'node:test'
import type { GitHttpHooks } from '../../lib/index.ts'
import { git } from '../fixtures/git.ts'
import { servePushes } from '../fixtures/push-scene.ts'
import { commitFile, commitRandom } from '../fixtures/repository.ts'

// README: No files over 50 MB
const MAX_SIZE = 50_000_000

const hooks: GitHttpHooks = {
  preReceive: async (push) => {
    const tips = push.commands.filter(({ kind }) => kind !== 'delete').map(({ new: tip }) => tip)
    if (tips.length === 0) return
    const list = await push.git(['rev-list', '--objects', ...tips, '--not', '--all'])
    const check = await push.git(['cat-file', '--batch-check=%(objecttype) %(objectsize) %(rest)'], { input: true })
    pipeline(list.stdout, check.stdin, () => {})
    for await (const line of createInterface({ input: check.stdout })) {
      const [type, size, ...path] = line.split(' ')
      if (type !== 'blob' || Number(size) <= MAX_SIZE) continue
      push.message(`${path.join(' ')} has ${Math.ceil(Number(size) / 1_000_000)} MB, ${MAX_SIZE / 1_000_000} are allowed`)
      push.rejectAll('large file')
    }
    for (const { exited } of [list, check]) if ((await exited).code !== 0) throw new Error('git failed')
  }
}

test('recipe: no files over 50 MB, found without reading one', async (t) => {
  const scene = await servePushes(t, { hooks })
  assert.equal((await scene.push([scene.appUrl, 'main'])).code, 0)
  await git(['config', 'core.compression', '0'], { cwd: scene.work })
  await git(['config', 'core.bigFileThreshold', '1m'], { cwd: scene.work })
  await commitFile(scene.work, 'small.txt', 'small\n')
  await commitRandom(scene.work, 'a film.bin', 50_000_001)
  // Removed again, it is in the history all the same.
  await git(['rm', '--quiet', 'a film.bin'], { cwd: scene.work })
  await git(['commit', '--quiet', '-m', 'remove it'], { cwd: scene.work })
  const refused = await scene.push([scene.appUrl, 'main'])
  assert.match(refused.stderr, /! \[remote rejected\] main -> main \(large file\)/)
  assert.match(refused.stderr, /remote: a film\.bin has 51 MB, 50 are allowed/)
  assert.equal((await scene.push([scene.appUrl, 'main~2:main', 'main~2:refs/heads/topic'])).code, 0)
  assert.equal((await scene.push([scene.appUrl, ':topic'])).code, 0)
})
