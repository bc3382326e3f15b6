import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import type { GitFetch, GitPush, OperationSummary, PostReceive, PreReceive } from '../../lib/index.ts'
import { git } from '../fixtures/git.ts'
import { servePushes } from '../fixtures/push-scene.ts'

const NAMES = ['onPush', 'preReceive', 'postReceive', 'onFetch', 'onFinish'] as const

for (const configured of [false, true]) {
  test(`subscribers of the diagnostics channels get ${configured ? 'what the hooks get' : 'everything without any hook'}`, async (t) => {
    const published: Array<[string, unknown]> = []
    const given: Array<[string, unknown]> = []
    for (const name of NAMES) {
      const listen = (message: unknown): void => { published.push([name, message]) }
      subscribe(`fastify-git-http.${name}`, listen)
      t.after(() => unsubscribe(`fastify-git-http.${name}`, listen))
    }
    const hooks = Object.fromEntries(NAMES.map((name) => [name, (payload: unknown) => { given.push([name, payload]) }]))
    const scene = await servePushes(t, configured ? { hooks } : {})
    assert.equal((await scene.push([scene.appUrl, 'main'])).code, 0)
    await git(['clone', '--quiet', '--bare', scene.appUrl, `${scene.root}/copy`])
    await scene.finished(2)
    const exchanges = published.filter(([name, payload]) => name !== 'onFinish' || (payload as OperationSummary).operation?.phase === 'exchange')
    const order = exchanges.map(([name]) => name)
    assert.deepEqual(order.slice(0, 4), ['onPush', 'preReceive', 'postReceive', 'onFinish'])
    assert.ok(order.includes('onFetch'))
    const payload = <T>(name: string): T => exchanges.find(([other]) => other === name)?.[1] as T
    assert.equal(payload<GitPush>('onPush').commands[0]?.ref, 'refs/heads/main')
    assert.ok('GIT_QUARANTINE_PATH' in payload<PreReceive>('preReceive').environment)
    assert.equal(payload<PostReceive>('postReceive').commands[0]?.kind, 'create')
    assert.deepEqual(payload<GitFetch>('onFetch').wants.includes(scene.id), true)
    assert.deepEqual(payload<OperationSummary>('onFinish').refs.map(({ ref }) => ref), ['refs/heads/main'])
    if (configured) assert.deepEqual(given.map(([name, one]) => published.some(([other, two]) => other === name && one === two)), given.map(() => true))
  })
}
