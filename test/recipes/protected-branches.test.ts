import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GitHttpHooks } from '../../lib/index.ts'
import { git } from '../fixtures/git.ts'
import { servePushes } from '../fixtures/push-scene.ts'
import { commitFile } from '../fixtures/repository.ts'

// README: Protected branches with owners
const owners: Record<string, string[]> = { 'refs/heads/main': ['alice'], 'refs/heads/stable': ['alice', 'bob'] }

const hooks: GitHttpHooks = {
  onPush: (push) => {
    for (const { ref, kind, touches } of push.commands) {
      for (const name of touches) {
        const allowed = owners[name]
        if (allowed === undefined) continue
        if (kind === 'delete') push.reject(ref, 'protected branch: never deleted')
        else if (!allowed.includes(push.operation.user ?? '')) push.reject(ref, `protected branch: only ${allowed.join(', ')}`)
      }
    }
  }
}

test('recipe: protected branches with owners', async (t) => {
  const scene = await servePushes(t, { hooks, publicWrite: false })
  const as = (user: string): string => `${scene.urlAs(user, 'secret')}/app.git`
  assert.match((await scene.push([as('bob'), 'main'])).stderr, /! \[remote rejected\] main -> main \(protected branch: only alice\)/)
  assert.equal((await scene.push([as('alice'), 'main'])).code, 0)
  assert.equal((await scene.push([as('bob'), 'main:stable', 'main:topic'])).code, 0)
  assert.match((await scene.push([as('alice'), ':main'])).stderr, /never deleted/)
  // A symbolic ref is no way around.
  await git(['symbolic-ref', 'refs/heads/alias', 'refs/heads/main'], { cwd: scene.served })
  await commitFile(scene.work, 'more.txt', 'more\n')
  assert.match((await scene.push([as('bob'), 'main:alias'])).stderr, /main -> alias \(protected branch: only alice\)/)
})
