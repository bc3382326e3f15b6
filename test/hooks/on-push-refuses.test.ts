import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import type { OperationSummary } from '../../lib/index.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { remoteLines, results, servePushes } from '../fixtures/push-scene.ts'
import { postPush, pushBody, ZERO } from '../fixtures/raw-push.ts'
import { commitRandom } from '../fixtures/repository.ts'
import { traceGit } from '../fixtures/traced-git.ts'

for (const processes of [1, 0]) {
  test(`one rejected ref rejects the push, each ref with its reason, and git is not started (${processes} helpers)`, async (t) => {
    const traced = await traceGit(t)
    const scene = await servePushes(t, {
      spawner: { processes },
      hooks: {
        onPush: (push) => {
          push.message('Nobody pushes\nto main')
          push.reject('refs/heads/main', 'protected branch')
        }
      }
    })
    const objects = await readdir(join(scene.served, 'objects'), { recursive: true })
    const pushed = await scene.push(['--porcelain', scene.appUrl, 'main', 'main:topic'])
    assert.equal(pushed.code, 1)
    assert.deepEqual(results(pushed), [
      '! refs/heads/main:refs/heads/main [remote rejected] (protected branch)',
      '! refs/heads/main:refs/heads/topic [remote rejected] (another ref of the push was rejected)'
    ])
    assert.deepEqual(remoteLines(pushed), ['Nobody pushes', 'to main'])
    assert.match((await scene.push([scene.appUrl, 'main'])).stderr, /! \[remote rejected\] main -> main \(protected branch\)/)
    assert.deepEqual(await readdir(join(scene.served, 'objects'), { recursive: true }), objects)
    const exchanges = (await traced.started('receive-pack')).filter((args) => !args.includes('--advertise-refs'))
    assert.deepEqual(exchanges, [])
    const [{ outcome, status, refs, exitCode, code }] = await scene.finished(1) as [OperationSummary]
    assert.deepEqual([outcome, status, refs, exitCode, code], ['refused', 200, [], null, null])
  })
}

test('with partial the other refs move, and one report tells of both', async (t) => {
  const scene = await servePushes(t, {
    hooks: {
      partial: true,
      onPush: (push) => {
        push.message('accepted in part')
        for (const { ref } of push.commands) if (ref.includes('secret')) push.reject(ref, `no: ${ref.slice(11)}`)
      }
    }
  })
  const pushed = await scene.push(['--porcelain', scene.appUrl, 'main', 'main:secret/a', 'main:topic', 'main:secret/b'])
  assert.equal(pushed.code, 1)
  assert.deepEqual(results(pushed).sort(), [
    '! refs/heads/main:refs/heads/secret/a [remote rejected] (no: secret/a)',
    '! refs/heads/main:refs/heads/secret/b [remote rejected] (no: secret/b)',
    '* refs/heads/main:refs/heads/main [new branch]',
    '* refs/heads/main:refs/heads/topic [new branch]'
  ])
  assert.ok(remoteLines(pushed).includes('accepted in part'))
  assert.deepEqual(await scene.refs(), ['refs/heads/main', 'refs/heads/topic'])
  const [{ outcome, refs }] = await scene.finished(1) as [OperationSummary]
  assert.deepEqual([outcome, refs.map(({ ref, kind }) => [ref, kind])], ['completed', [['refs/heads/main', 'create'], ['refs/heads/topic', 'create']]])
})

for (const capabilities of ['report-status', 'report-status-v2', 'report-status side-band-64k', 'report-status-v2 side-band-64k', 'side-band-64k']) {
  test(`a client that asked for ${capabilities} is told of both in its way`, async (t) => {
    const scene = await servePushes(t, { hooks: { partial: true, onPush: (push) => push.reject('refs/heads/b', 'not b') } })
    const refs = [{ ref: 'refs/heads/a' }, { ref: 'refs/heads/b' }]
    const { head, pack } = await pushBody(scene.work, scene.id, { commands: refs, capabilities })
    const answer = await postPush(scene.port, Buffer.concat([head, pack]))
    if (capabilities.includes('report')) {
      assert.match(answer, /unpack ok\n....ok refs\/heads\/a\n....ng refs\/heads\/b not b\n/)
    } else {
      assert.match(answer, /\x03refs\/heads\/b: not b\n/) // eslint-disable-line no-control-regex
    }
    assert.deepEqual(await scene.refs(), ['refs/heads/a'])
    await scene.push([scene.appUrl, ':a'])
    const { head: only } = await pushBody(scene.work, scene.id, { commands: [{ ref: 'refs/heads/b' }], capabilities })
    assert.match(await postPush(scene.port, Buffer.concat([only, pack])), /refs\/heads\/b:? not b/)
  })
}

test('an atomic push is refused as a whole even with partial', async (t) => {
  const scene = await servePushes(t, { hooks: { partial: true, onPush: (push) => push.reject('refs/heads/topic', 'no topic') } })
  const pushed = await scene.push(['--atomic', '--porcelain', scene.appUrl, 'main', 'main:topic'])
  assert.equal(pushed.code, 1)
  assert.match(pushed.stdout, /refs\/heads\/topic\t\[remote rejected\] \(no topic\)/)
  assert.deepEqual(await scene.refs(), [])
})

test('rejectAll refuses everything; the first reason of a ref counts, and a message comes with an accepted push too', async (t) => {
  const scene = await servePushes(t, {
    hooks: {
      onPush: (push) => {
        push.message('hello')
        assert.throws(() => push.reject('refs/heads/none', 'x'), TypeError)
        if (push.commands.length === 1) return
        push.reject('refs/heads/main', 'first')
        push.reject('refs/heads/main', 'second')
        push.rejectAll('all of it')
      }
    }
  })
  const refused = await scene.push(['--porcelain', scene.appUrl, 'main', 'main:topic'])
  assert.deepEqual(results(refused), [
    '! refs/heads/main:refs/heads/main [remote rejected] (first)', '! refs/heads/main:refs/heads/topic [remote rejected] (all of it)'
  ])
  const accepted = await scene.push([scene.appUrl, 'main'])
  assert.equal(accepted.code, 0)
  assert.deepEqual(remoteLines(accepted), ['hello'])
})

test('a deletion is refused and accepted like anything else, without a pack', async (t) => {
  const scene = await servePushes(t, {
    hooks: { onPush: (push) => { for (const { ref, kind } of push.commands) if (kind === 'delete' && ref !== 'refs/heads/topic') push.reject(ref, 'nothing is deleted') } }
  })
  await scene.push([scene.appUrl, 'main', 'main:topic'])
  assert.match((await scene.push([scene.appUrl, ':main'])).stderr, /! \[remote rejected\] main \(nothing is deleted\)/)
  assert.equal((await scene.push([scene.appUrl, ':topic'])).code, 0)
  assert.deepEqual(await scene.refs(), ['refs/heads/main'])
  const { head } = await pushBody(scene.work, scene.id, { commands: [{ old: scene.id, new: ZERO, ref: 'refs/heads/main' }] })
  assert.match(await postPush(scene.port, head), /ng refs\/heads\/main nothing is deleted/)
  assert.match(await postPush(scene.port, head, { gzip: true }), /ng refs\/heads\/main nothing is deleted/)
})

test('a refused push of 200 MB is read to its end without a trace on the disk, and its user reads why', async (t) => {
  const scene = await servePushes(t, { hooks: { onPush: (push) => push.rejectAll('too busy for this') } })
  await git(['config', 'core.compression', '0'], { cwd: scene.work })
  await git(['config', 'core.bigFileThreshold', '1m'], { cwd: scene.work })
  await commitRandom(scene.work, 'big.bin', 200_000_000)
  const before = await git(['count-objects', '-v'], { cwd: scene.served })
  const memory = process.memoryUsage().rss
  const { stderr, code } = await scene.push([scene.appUrl, 'main'])
  assert.equal(code, 1)
  assert.match(stderr, /! \[remote rejected\] main -> main \(too busy for this\)/)
  assert.equal(await git(['count-objects', '-v'], { cwd: scene.served }), before)
  const [{ outcome, bytesIn }] = (await scene.finished(2)).slice(-1) as [OperationSummary]
  assert.equal(outcome, 'refused')
  assert.ok(bytesIn > 200_000_000, String(bytesIn))
  assert.ok(process.memoryUsage().rss - memory < 120_000_000)
})

test('a refused push leaves nothing behind even when its body is gzip or a stage stands before it', async (t) => {
  const stages: Array<PassThrough> = []
  const scene = await servePushes(t, {
    hooks: {
      onPush: (push) => push.rejectAll('no'),
      transformRequest: () => {
        const stage = new PassThrough()
        stages.push(stage)
        return stage
      }
    }
  })
  await commitRandom(scene.work, 'big.bin', 3_000_000)
  const id = await git(['rev-parse', 'HEAD'], { cwd: scene.work })
  const { head, pack } = await pushBody(scene.work, id, { commands: [{ ref: 'refs/heads/main' }] })
  for (const gzip of [false, true]) assert.match(await postPush(scene.port, Buffer.concat([head, pack]), { gzip }), /ng refs\/heads\/main no\n/)
  assert.ok(stages.every(({ destroyed }) => destroyed))
  assert.equal((await tryGit(['cat-file', '-e', id], { cwd: scene.served })).code, 1)
})
