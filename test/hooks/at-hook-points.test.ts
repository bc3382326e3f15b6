import assert from 'node:assert/strict'
import { once } from 'node:events'
import { appendFile, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import type { GitPushCommand } from '../../lib/index.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { remoteLines, results, servePushes, type PushScene } from '../fixtures/push-scene.ts'
import { OpenPost, pushBody } from '../fixtures/raw-push.ts'
import { commitFile } from '../fixtures/repository.ts'
import { writeScript } from '../fixtures/shims.ts'

async function assertNothingLeft ({ served }: PushScene): Promise<void> {
  await eventually(async () => (await processesAbout(served)).length === 0, 5_000, 'processes end')
  assert.deepEqual((await readdir(served, { recursive: true })).filter((name) => /tmp_objdir|incoming-|\.lock$/.test(name)), [])
}

for (const processes of [1, 0]) {
  test(`preReceive reads the pushed commits, which are gone when it refuses (${processes} helpers)`, async (t) => {
    const subjects: string[] = []
    const scene = await servePushes(t, {
      spawner: { processes },
      hooks: {
        preReceive: async (push) => {
          const { stdout, exited } = await push.git(['log', '--format=%s', push.commands[0]?.new ?? '', '--not', '--all'])
          subjects.push(await text(stdout))
          assert.equal((await exited).code, 0)
          if (push.commands.some(({ ref }) => ref === 'refs/heads/main')) push.rejectAll('not like this')
        }
      }
    })
    const id = await commitFile(scene.work, 'more.txt', 'more\n')
    const refused = await scene.push(['--porcelain', scene.appUrl, 'main', 'main:topic'])
    assert.deepEqual(results(refused), ['main', 'topic'].map((ref) => `! refs/heads/main:refs/heads/${ref} [remote rejected] (not like this)`))
    assert.deepEqual(subjects, ['add more.txt\nadd readme.txt\n'])
    assert.equal((await tryGit(['cat-file', '-e', id], { cwd: scene.served })).code, 1)
    await assertNothingLeft(scene)
    const [summary] = await scene.finished(1)
    assert.deepEqual([summary?.outcome, summary?.exitCode, summary?.refs], ['refused', 0, []])
    assert.equal((await scene.push([scene.appUrl, 'main:topic'])).code, 0)
  })

  test(`with partial preReceive rejects single refs, and postReceive hears of those that moved (${processes} helpers)`, async (t) => {
    const moved: Array<readonly GitPushCommand[]> = []
    const scene = await servePushes(t, {
      spawner: { processes },
      hooks: {
        partial: true,
        onPush: (push) => push.reject('refs/heads/a', 'not a'),
        preReceive: (push) => {
          assert.deepEqual(push.commands.length, 4)
          push.reject('refs/heads/b', 'not b')
        },
        postReceive: ({ commands }) => { moved.push(commands) }
      }
    })
    await writeScript(join(scene.served, 'hooks'), 'update', 'test "$1" != refs/heads/c')
    const pushed = await scene.push(['--porcelain', scene.appUrl, 'main:a', 'main:b', 'main:c', 'main:d'])
    assert.deepEqual(results(pushed).sort(), [
      '! refs/heads/main:refs/heads/a [remote rejected] (not a)',
      '! refs/heads/main:refs/heads/b [remote rejected] (not b)',
      '! refs/heads/main:refs/heads/c [remote rejected] (hook declined)',
      '* refs/heads/main:refs/heads/d [new branch]'
    ])
    assert.deepEqual(moved.flat().map(({ ref, kind, touches }) => [ref, kind, touches]), [['refs/heads/d', 'create', ['refs/heads/d']]])
    const [summary] = await scene.finished(1)
    assert.deepEqual(summary?.refs.map(({ ref }) => ref), ['refs/heads/d'])
    await assertNothingLeft(scene)
  })
}

test('without partial one rejected ref of preReceive rejects all, and the others read why', async (t) => {
  const scene = await servePushes(t, { hooks: { preReceive: (push) => push.reject('refs/heads/topic', 'no topic') } })
  const pushed = await scene.push(['--porcelain', scene.appUrl, 'main', 'main:topic'])
  assert.deepEqual(results(pushed).sort(), [
    '! refs/heads/main:refs/heads/main [remote rejected] (another ref of the push was rejected)',
    '! refs/heads/main:refs/heads/topic [remote rejected] (no topic)'
  ])
  assert.deepEqual(await scene.refs(), [])
})

test('messages of preReceive arrive while it works, before its verdict', async (t) => {
  let go = (): void => {}
  const may = new Promise<void>((resolve) => { go = resolve })
  const scene = await servePushes(t, {
    hooks: {
      preReceive: async (push) => {
        push.message('looking')
        await may
        push.message('found')
      }
    }
  })
  const { head, pack } = await pushBody(scene.work, scene.id, { commands: [{ ref: 'refs/heads/main' }] })
  const post = await OpenPost.open(scene.port, '/app.git', 'receive-pack')
  post.send(Buffer.concat([head, pack]))
  const ended = post.end()
  await post.says('looking\n')
  assert.doesNotMatch(post.text, /unpack ok|found/)
  assert.deepEqual(await scene.refs(), [])
  go()
  assert.match(await ended, /looking\n.*found\n.*unpack ok\n.*ok refs\/heads\/main\n/s)
})

for (const place of ['hooks', 'elsewhere']) {
  test(`the repository's own hooks in ${place} run in git's order, with ours around them`, async (t) => {
    const log = (scene: PushScene): string => join(scene.root, 'log')
    const scene: PushScene = await servePushes(t, {
      hooks: {
        preReceive: async () => { await note('preReceive') },
        postReceive: async () => { await note('postReceive') }
      }
    })
    const note = async (line: string): Promise<void> => await appendFile(log(scene), `${line}\n`)
    const folder = join(scene.served, place)
    await mkdir(folder, { recursive: true })
    if (place === 'elsewhere') await git(['config', 'core.hooksPath', folder], { cwd: scene.served })
    for (const name of ['pre-receive', 'update', 'post-receive', 'post-update']) {
      await writeScript(folder, name, `echo "${name} $*" | sed 's/ $//' >>${log(scene)}; test ${name} = update || cat >>${log(scene)}`)
    }
    assert.equal((await scene.push([scene.appUrl, 'main'])).code, 0)
    const line = `${'0'.repeat(40)} ${scene.id} refs/heads/main`
    assert.deepEqual((await readFile(log(scene), 'utf8')).trimEnd().split('\n'), [
      'preReceive', 'pre-receive', line, `update refs/heads/main ${'0'.repeat(40)} ${scene.id}`,
      'post-receive', line, 'postReceive', 'post-update refs/heads/main'
    ])
  })
}

test('a repository\'s own pre-receive that refuses is heard, and its words arrive', async (t) => {
  const scene = await servePushes(t, { hooks: { preReceive: () => {} } })
  await writeScript(join(scene.served, 'hooks'), 'pre-receive', 'echo "own words" >&2; exit 1')
  const pushed = await scene.push([scene.appUrl, 'main'])
  assert.match(pushed.stderr, /! \[remote rejected\] main -> main \(pre-receive hook declined\)/)
  assert.deepEqual(remoteLines(pushed), ['own words'])
})

test('a preReceive that fails refuses with the id of the request, one that hangs with its deadline', async (t) => {
  let fail = true
  const scene = await servePushes(t, {
    hooks: {
      deadline: 300,
      preReceive: async () => {
        if (fail) throw new Error('database down')
        await new Promise(() => {})
      }
    }
  })
  assert.match((await scene.push([scene.appUrl, 'main'])).stderr, /\(Internal error \(request req-\w+\)\)/)
  fail = false
  assert.match((await scene.push([scene.appUrl, 'main'])).stderr, /\(hook timed out\)/)
  assert.deepEqual(scene.log.filter(({ msg }) => msg === 'a hook failed').map(({ err }) => (err as Error).message), ['database down', 'pre-receive did not end in time'])
  assert.deepEqual((await scene.finished(2)).map(({ outcome, code }) => [outcome, code]), [['failed', 'FST_GIT_INTERNAL'], ['timeout', 'FST_GIT_HOOK_TIMEOUT']])
  assert.deepEqual(await scene.refs(), [])
  await assertNothingLeft(scene)
})

test('a postReceive that fails, or takes longer than it may, never fails the push', async (t) => {
  let fail = true
  const scene = await servePushes(t, {
    hooks: {
      deadline: 300,
      postReceive: async () => {
        if (fail) throw new Error('webhook down')
        await new Promise(() => {})
      }
    }
  })
  assert.equal((await scene.push([scene.appUrl, 'main'])).code, 0)
  fail = false
  assert.equal((await scene.push([scene.appUrl, 'main:topic'])).code, 0)
  assert.deepEqual(scene.log.filter(({ msg }) => msg === 'a hook failed').map(({ err }) => (err as Error).message), ['webhook down', 'post-receive did not end in time'])
  assert.deepEqual((await scene.finished(2)).map(({ outcome }) => outcome), ['completed', 'completed'])
})

for (const processes of [1, 0]) {
  test(`a client that leaves during preReceive changes nothing (${processes} helpers)`, async (t) => {
    let begun = (_signal: AbortSignal): void => {}
    const inHook = new Promise<AbortSignal>((resolve) => { begun = resolve })
    const scene = await servePushes(t, {
      spawner: { processes },
      hooks: {
        preReceive: async ({ signal }) => {
          begun(signal)
          await once(signal, 'abort')
          throw new Error('aborted by somebody')
        }
      }
    })
    const { head, pack } = await pushBody(scene.work, scene.id, { commands: [{ ref: 'refs/heads/main' }] })
    const post = await OpenPost.open(scene.port, '/app.git', 'receive-pack')
    post.send(Buffer.concat([head, pack]))
    const signal = await inHook
    post.leave()
    const [summary] = await scene.finished(1)
    assert.ok(signal.aborted)
    assert.deepEqual([summary?.outcome, summary?.refs], ['client-gone', []])
    assert.deepEqual(scene.log.filter(({ msg }) => msg === 'a hook failed'), [])
    assert.deepEqual(await scene.refs(), [])
    await assertNothingLeft(scene)
  })
}
