import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import type { PostReceive } from '../../lib/index.ts'
import { git } from '../fixtures/git.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { servePushes, type PushScene } from '../fixtures/push-scene.ts'
import { OpenPost, pushBody } from '../fixtures/raw-push.ts'
import { writeScript } from '../fixtures/shims.ts'

async function sendPush (scene: PushScene, options?: string[]): Promise<OpenPost> {
  const capabilities = `report-status side-band-64k${options === undefined ? '' : ' push-options'}`
  const { head, pack } = await pushBody(scene.work, scene.id, { commands: [{ ref: 'refs/heads/main' }], capabilities, ...(options === undefined ? {} : { options }) })
  const post = await OpenPost.open(scene.port, '/app.git', 'receive-pack')
  post.send(Buffer.concat([head, pack]))
  post.socket.write('0\r\n\r\n')
  return post
}

for (const processes of [1, 0]) {
  test(`postReceive goes on when the client leaves while it works (${processes} helpers)`, async (t) => {
    let begun = (): void => {}
    let go = (): void => {}
    const inHook = new Promise<void>((resolve) => { begun = resolve })
    const may = new Promise<void>((resolve) => { go = resolve })
    const read: string[] = []
    const scene = await servePushes(t, {
      spawner: { processes },
      hooks: {
        postReceive: async ({ git: run, commands, signal }) => {
          begun()
          await may
          signal.throwIfAborted()
          read.push(await text((await run(['log', '--format=%s', commands[0]?.new ?? ''])).stdout))
        }
      }
    })
    const post = await sendPush(scene)
    await inHook
    post.leave()
    // git itself is ended, as ever.
    await eventually(async () => (await processesAbout(scene.served)).length === 0, 5_000, 'git ends')
    assert.deepEqual(await scene.finished(0), [])
    go()
    const [summary] = await scene.finished(1)
    assert.deepEqual(read, ['add readme.txt\n'])
    assert.deepEqual([summary?.outcome, summary?.refs.map(({ ref }) => ref)], ['client-gone', ['refs/heads/main']])
  })

  test(`when the client leaves during the repository's own post-receive, postReceive hears of what moved (${processes} helpers)`, async (t) => {
    const calls: PostReceive[] = []
    const scene = await servePushes(t, { spawner: { processes }, hooks: { preReceive: () => {}, postReceive: (push) => { calls.push(push) } } })
    await git(['config', 'receive.advertisePushOptions', 'true'], { cwd: scene.served })
    await writeScript(join(scene.served, 'hooks'), 'post-receive', 'echo begun >&2; exec sleep 1000')
    const post = await sendPush(scene, ['x=y'])
    await post.says('begun')
    post.leave()
    const [summary] = await scene.finished(1)
    assert.equal(summary?.outcome, 'client-gone')
    assert.deepEqual(calls.map(({ commands, options, environment }) => [commands.map(({ ref, kind }) => [ref, kind]), options, environment]), [
      [[['refs/heads/main', 'create']], ['x=y'], { GIT_DIR: scene.served, GIT_PUSH_OPTION_COUNT: '1', GIT_PUSH_OPTION_0: 'x=y' }]
    ])
    assert.deepEqual(await processesAbout(scene.served), [])
  })
}

test('closing the server ends a postReceive that would go on for ever', { timeout: 30_000 }, async (t) => {
  const signals: AbortSignal[] = []
  const scene = await servePushes(t, {
    limits: { closeGrace: 100 },
    hooks: {
      deadline: 600_000,
      postReceive: async ({ signal }) => {
        signals.push(signal)
        await once(signal, 'abort')
      }
    }
  })
  const post = await sendPush(scene)
  await eventually(async () => signals.length === 1, 5_000, 'the hook is called')
  await scene.app.close()
  post.leave()
  assert.ok(signals[0]?.aborted)
  assert.deepEqual((await scene.finished(1)).map(({ refs }) => refs.length), [1])
})
