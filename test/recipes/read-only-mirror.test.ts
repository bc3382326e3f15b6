import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GitHttpHooks } from '../../lib/index.ts'
import { servePushes } from '../fixtures/push-scene.ts'

// README: A read-only mirror
const hooks: GitHttpHooks = {
  onPush: (push) => {
    if (push.operation.user === 'mirror') return
    push.message(`This is a mirror. Push to https://git.example.org/${push.operation.repository}`)
    push.rejectAll('read-only mirror')
  }
}

test('recipe: a read-only mirror says where to push', async (t) => {
  const scene = await servePushes(t, { hooks, publicWrite: false })
  assert.equal((await scene.push([`${scene.urlAs('mirror', 'secret')}/app.git`, 'main'])).code, 0)
  const { stderr } = await scene.push([`${scene.urlAs('alice', 'secret')}/app.git`, 'main:topic'])
  assert.match(stderr, /remote: This is a mirror\. Push to https:\/\/git\.example\.org\/app\.git/)
  assert.match(stderr, /! \[remote rejected\] main -> topic \(read-only mirror\)/)
})
