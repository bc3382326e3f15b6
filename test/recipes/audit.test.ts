import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GitHttpHooks } from '../../lib/index.ts'
import { servePushes } from '../fixtures/push-scene.ts'

const lines: object[] = []
const audit = { info: (line: object): void => { lines.push(line) } }

// README: An audit log
const hooks: GitHttpHooks = {
  onFinish: ({ id, operation, outcome, code, bytesIn, bytesOut, durations, refs }) => {
    if (operation === null || (operation.phase === 'advertise' && outcome === 'completed')) return
    audit.info({
      request: id,
      user: operation.user,
      repository: operation.repository,
      what: operation.access === 'write' ? 'push' : 'fetch',
      outcome,
      code,
      bytes: bytesIn + bytesOut,
      milliseconds: Math.round(durations.total),
      refs: refs.map(({ kind, ref, old, new: to }) => `${kind} ${ref} ${old.slice(0, 10)}..${to.slice(0, 10)}`)
    })
  }
}

test('recipe: an audit log', async (t) => {
  const scene = await servePushes(t, { hooks, publicWrite: false })
  assert.equal((await scene.push([`${scene.urlAs('alice', 'secret')}/app.git`, 'main'])).code, 0)
  assert.notEqual((await scene.push([`${scene.urlAs('alice', 'wrong')}/app.git`, 'main:b'])).code, 0)
  await scene.finished(1)
  const told = lines.map((line) => line as Record<string, unknown>)
  const pushed = told.find(({ outcome }) => outcome === 'completed')
  assert.deepEqual([pushed?.['user'], pushed?.['repository'], pushed?.['what'], pushed?.['refs']], ['alice', 'app.git', 'push', [`create refs/heads/main 0000000000..${scene.id.slice(0, 10)}`]])
  assert.ok(told.some(({ code }) => code === 'FST_GIT_BAD_CREDENTIALS' || code === 'FST_GIT_AUTHENTICATION_REQUIRED'))
})
