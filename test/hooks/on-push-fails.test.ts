import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { deflateSync, gzipSync } from 'node:zlib'
import { errors, type GitPush } from '../../lib/index.ts'
import { servePushes, type PushScene } from '../fixtures/push-scene.ts'
import { OpenPost, pushBody } from '../fixtures/raw-push.ts'

const failures = ({ log }: PushScene): unknown[] => log.filter(({ msg }) => msg === 'a hook failed').map(({ err }) => (err as { message: string }).message)

test('an error of this package reaches the user; any other is logged, and the user reads the id of the request', async (t) => {
  let error: Error = new errors.RefusedError('main is frozen until Monday')
  const scene = await servePushes(t, { hooks: { onPush: async () => { throw error } } })
  const known = await scene.push([scene.appUrl, 'main'])
  assert.match(known.stderr, /! \[remote rejected\] main -> main \(main is frozen until Monday\)/)
  assert.deepEqual(failures(scene), [])

  error = new Error('connect ECONNREFUSED /srv/secret.sock')
  const unknown = await scene.push([scene.appUrl, 'main'])
  assert.match(unknown.stderr, /! \[remote rejected\] main -> main \(Internal error \(request req-\w+\)\)/)
  assert.doesNotMatch(unknown.stderr, /ECONNREFUSED|secret/)
  assert.deepEqual(failures(scene), ['connect ECONNREFUSED /srv/secret.sock'])
  const summaries = await scene.finished(2)
  assert.deepEqual(summaries.map(({ outcome, status, code }) => [outcome, status, code]), [['refused', 200, 'FST_GIT_REFUSED'], ['failed', 200, 'FST_GIT_INTERNAL']])
  assert.deepEqual(await scene.refs(), [])
})

test('a hook that throws at once, or throws no error at all, refuses as well', async (t) => {
  const thrown: unknown[] = ['a string', undefined]
  const scene = await servePushes(t, { hooks: { onPush: () => { throw thrown.pop() } } })
  for (let i = 0; i < 2; i++) assert.match((await scene.push([scene.appUrl, 'main'])).stderr, /\(Internal error \(request /)
})

test('a hook that does not end meets its deadline, and its signal tells it', async (t) => {
  const pushes: GitPush[] = []
  const scene = await servePushes(t, {
    hooks: {
      deadline: 200,
      onPush: async (push) => {
        pushes.push(push)
        await new Promise(() => {})
      }
    }
  })
  const { stderr } = await scene.push([scene.appUrl, 'main'])
  assert.match(stderr, /! \[remote rejected\] main -> main \(A hook of the server took too long \(request req-\w+\)\)/)
  assert.ok(pushes[0]?.signal.aborted)
  const [summary] = await scene.finished(1)
  assert.deepEqual([summary?.outcome, summary?.code], ['timeout', 'FST_GIT_HOOK_TIMEOUT'])
})

for (const gzip of [false, true]) {
  test(`a client that leaves while the hook thinks aborts its signal, and nobody calls that a failure (${gzip ? 'gzip' : 'plain'})`, async (t) => {
    let begun = (_push: GitPush): void => {}
    const inHook = new Promise<GitPush>((resolve) => { begun = resolve })
    const scene = await servePushes(t, {
      hooks: {
        onPush: async (push) => {
          begun(push)
          await once(push.signal, 'abort')
          push.signal.throwIfAborted()
        }
      }
    })
    const { head, pack } = await pushBody(scene.work, scene.id, { commands: [{ ref: 'refs/heads/main' }] })
    const body = Buffer.concat([head, pack])
    const post = await OpenPost.open(scene.port, '/app.git', 'receive-pack', gzip ? ['Content-Encoding: gzip'] : [])
    post.send(gzip ? gzipSync(body) : body.subarray(0, -5))
    // Its end is what a gzip body is decided by.
    if (gzip) post.socket.write('0\r\n\r\n')
    const { signal } = await inHook
    post.leave()
    const [summary] = await scene.finished(1)
    assert.ok(signal.aborted)
    assert.deepEqual([summary?.outcome, summary?.status, summary?.refs], ['client-gone', 0, []])
    assert.deepEqual(scene.log.filter(({ level }) => level as number >= 50), [])
    assert.deepEqual(await scene.refs(), [])
  })
}

for (const size of [40_000, 300_000]) {
  test(`a client that leaves with ${size} bytes of a gzip body while the hook thinks is survived`, async (t) => {
    let begun = (_signal: AbortSignal): void => {}
    let go = (): void => {}
    const inHook = new Promise<AbortSignal>((resolve) => { begun = resolve })
    const may = new Promise<void>((resolve) => { go = resolve })
    const scene = await servePushes(t, {
      hooks: {
        onPush: async ({ signal }) => {
          begun(signal)
          await may
        }
      }
    })
    const { head } = await pushBody(scene.work, scene.id, { commands: [{ ref: 'refs/heads/main' }] })
    const post = await OpenPost.open(scene.port, '/app.git', 'receive-pack', ['Content-Encoding: gzip'])
    // Stored, so that the head comes out at once although more is to follow.
    post.send(gzipSync(Buffer.concat([head, packOf(Buffer.alloc(400_000, 1))]), { level: 0 }).subarray(0, size))
    const signal = await inHook
    post.leave()
    // Of the longer one the server has not read all, so it cannot know yet.
    if (size < 65_536) await once(signal, 'abort')
    go()
    const [summary] = await scene.finished(1)
    assert.equal(summary?.outcome, 'client-gone')
    assert.equal((await fetch(`${scene.appUrl}/HEAD`)).status, 200)
  })
}

/** A pack of one blob as it is, of which git reads as much as comes (gitformat-pack). */
function packOf (blob: Buffer): Buffer {
  const header: number[] = []
  let [byte, rest] = [3 << 4 | blob.length & 15, blob.length >> 4]
  for (; rest > 0; rest >>= 7) {
    header.push(byte | 0x80)
    byte = rest & 0x7f
  }
  return Buffer.concat([Buffer.from('PACK\0\0\0\x02\0\0\0\x01', 'latin1'), Buffer.from([...header, byte]), deflateSync(blob, { level: 0 })])
}
