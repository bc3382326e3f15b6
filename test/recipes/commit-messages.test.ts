import assert from 'node:assert/strict'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import type { GitHttpHooks } from '../../lib/index.ts'
import { git } from '../fixtures/git.ts'
import { remoteLines, servePushes } from '../fixtures/push-scene.ts'

// README: A rule for commit messages
const hooks: GitHttpHooks = {
  preReceive: async (push) => {
    for (const { ref, kind, new: tip } of push.commands) {
      if (kind === 'delete') continue
      const { stdout, exited } = await push.git(['log', '--format=%h %s', tip, '--not', '--all'])
      for await (const line of createInterface({ input: stdout })) {
        if (/^\w+ (?:feat|fix|docs|test): \S/.test(line)) continue
        push.message(`${line}\n  is not "feat: ...", "fix: ...", "docs: ..." or "test: ..."`)
        push.reject(ref, 'commit message')
      }
      if ((await exited).code !== 0) throw new Error('git log failed')
    }
  }
}

test('recipe: a rule for commit messages, read from the quarantine', async (t) => {
  const scene = await servePushes(t, { hooks })
  const commit = async (message: string): Promise<void> => { await git(['commit', '--quiet', '--allow-empty', '--amend', '-m', message], { cwd: scene.work }) }
  await commit('fix: a thing')
  assert.equal((await scene.push([scene.appUrl, 'main'])).code, 0)
  await git(['commit', '--quiet', '--allow-empty', '-m', 'wip'], { cwd: scene.work })
  const refused = await scene.push([scene.appUrl, 'main'])
  assert.match(refused.stderr, /! \[remote rejected\] main -> main \(commit message\)/)
  // Old commits are not looked at again.
  assert.equal(remoteLines(refused).filter((line) => /^\w+ wip$/.test(line)).length, 1)
  assert.ok(!remoteLines(refused).some((line) => line.includes('a thing')))
  await commit('feat: another')
  assert.equal((await scene.push([scene.appUrl, 'main', 'main:topic'])).code, 0)
})
