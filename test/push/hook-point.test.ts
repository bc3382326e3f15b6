import assert from 'node:assert/strict'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { git } from '../fixtures/git.ts'
import { descriptors, eventually } from '../fixtures/processes.ts'
import { encodePacket } from '../../lib/protocol/pkt-line.ts'
import { assertNothingLeft, hasNoObjects, logOf, openScene, refsOf, startPush, writeHooks, ZERO } from './hook-scene.ts'

for (const [name, processes] of [['direct', 0], ['spawner', 1]] as const) {
  test(`${name}: preReceive hears what git feeds a hook, and the push goes on when it accepts`, async (t) => {
    const scene = await openScene(t, processes)
    const heard: unknown[] = []
    const push = await startPush(scene, {
      preReceive: ({ commands }) => { heard.push(commands); return { ok: true } },
      refs: [{ ref: 'refs/heads/main' }, { ref: 'refs/heads/ä €' }]
    })
    const { report, exit } = await push.done
    assert.deepEqual(heard, [[{ old: ZERO, new: scene.id, ref: 'refs/heads/main' }, { old: ZERO, new: scene.id, ref: 'refs/heads/ä €' }]])
    assert.match(report, /unpack ok.*ok refs\/heads\/main/s)
    assert.deepEqual([exit.code, push.point.reached, push.point.reason, push.errors], [0, true, null, []])
    await assertNothingLeft(scene)
  })

  test(`${name}: preReceive that refuses leaves refs and objects as they were, and its reason is there for the report`, async (t) => {
    const scene = await openScene(t, processes)
    const push = await startPush(scene, { preReceive: async () => ({ ok: false, reason: 'closed today' }) })
    const { report } = await push.done
    assert.match(report, /ng refs\/heads\/main pre-receive hook declined/)
    assert.equal(push.point.reason, 'closed today')
    assert.equal(await refsOf(scene), '')
    assert.ok(await hasNoObjects(scene))
    await assertNothingLeft(scene)
  })

  test(`${name}: a ref that preReceive rejects does not move, the others do`, async (t) => {
    const scene = await openScene(t, processes)
    const push = await startPush(scene, {
      preReceive: () => ({ ok: true, rejected: new Map([['refs/heads/locked', 'is locked']]) }),
      refs: [{ ref: 'refs/heads/a' }, { ref: 'refs/heads/locked' }, { ref: 'refs/heads/locked-not' }]
    })
    const { report } = await push.done
    assert.match(report, /ok refs\/heads\/a\n.*ng refs\/heads\/locked hook declined\n.*ok refs\/heads\/locked-not\n/s)
    assert.deepEqual([...push.point.reasons], [['refs/heads/locked', 'is locked']])
    assert.equal(await refsOf(scene), 'refs/heads/a\nrefs/heads/locked-not')
    await assertNothingLeft(scene)
  })

  test(`${name}: in an atomic push one rejected ref holds all`, async (t) => {
    const scene = await openScene(t, processes)
    const push = await startPush(scene, {
      preReceive: () => ({ ok: true, rejected: new Map([['refs/heads/locked', 'is locked']]) }),
      refs: [{ ref: 'refs/heads/a' }, { ref: 'refs/heads/locked' }, { ref: 'refs/heads/b' }],
      capabilities: 'report-status side-band-64k atomic'
    })
    const { report } = await push.done
    assert.match(report, /ng refs\/heads\/a atomic push failure\n.*ng refs\/heads\/locked hook declined\n.*ng refs\/heads\/b atomic push failure\n/s)
    assert.equal(await refsOf(scene), '')
    await assertNothingLeft(scene)
  })

  test(`${name}: when every ref is rejected no object stays`, async (t) => {
    const scene = await openScene(t, processes)
    const push = await startPush(scene, { preReceive: () => ({ ok: true, rejected: new Map([['refs/heads/main', 'is locked']]) }) })
    await push.done
    assert.deepEqual([...push.point.reasons], [['refs/heads/main', 'is locked']])
    assert.ok(await hasNoObjects(scene))
    await assertNothingLeft(scene)
  })

  test(`${name}: messages arrive while the hook works`, async (t) => {
    const scene = await openScene(t, processes)
    let accept = (): void => {}
    const push = await startPush(scene, {
      preReceive: async ({ message }) => {
        message('  checking %s \\n $(id) `id` "\'\n\nthe second')
        await new Promise<void>((resolve) => { accept = resolve })
        message('well\n')
        return { ok: true }
      },
      postReceive: ({ message }) => message('moved')
    })
    const first = '  checking %s \\n $(id) `id` "\'\n\nthe second\n'
    await eventually(async () => push.remote() === first, 5_000, 'the message is there')
    assert.equal(push.report(), '')
    accept()
    assert.equal((await push.done).remote, `${first}well\nmoved\n`)
  })

  test(`${name}: a git of the hook reads what is pushed, which nobody else sees yet`, async (t) => {
    const scene = await openScene(t, processes)
    const answers: unknown[] = []
    const push = await startPush(scene, {
      preReceive: async ({ commands: [command], git: run }) => {
        const { new: id } = command as { new: string }
        const log = await run(['log', '--format=%s', id, '--'])
        answers.push(await text(log.stdout), (await log.exited).code)
        const batch = await run(['cat-file', '--batch-check'], { input: true })
        batch.stdin.end(`${id}\n${id}:readme.txt\n`)
        answers.push((await text(batch.stdout)).replace(/^\w+ /gm, ''))
        const update = await run(['update-ref', 'refs/heads/sneaked', id])
        answers.push((await update.exited).code)
        answers.push(await hasNoObjects(scene))
        return { ok: true }
      }
    })
    assert.match((await push.done).report, /ok refs\/heads\/main/)
    const commit = await git(['cat-file', '-s', scene.id], { cwd: scene.work })
    assert.deepEqual(answers, ['add readme.txt\n', 0, `commit ${commit}\nblob 6\n`, 128, true])
    assert.equal(await refsOf(scene), 'refs/heads/main')
    await assertNothingLeft(scene)
  })

  test(`${name}: what a hook has started ends with it`, async (t) => {
    const scene = await openScene(t, processes)
    const push = await startPush(scene, {
      preReceive: async ({ git: run }) => {
        const idle = await run(['cat-file', '--batch'], { input: true })
        idle.stdout.on('error', () => {})
        return { ok: true }
      },
      postReceive: async (call) => {
        const idle = await call.git(['cat-file', '--batch'], { input: true })
        idle.stdin.end(`${scene.id}\n`)
        await once(idle.stdout, 'readable')
      }
    })
    assert.match((await push.done).report, /ok refs\/heads\/main/)
    await assertNothingLeft(scene)
  })

  test(`${name}: push options reach the hook whatever is in them`, async (t) => {
    const scene = await openScene(t, processes)
    await git(['config', 'receive.advertisePushOptions', 'true'], { cwd: scene.served })
    const options = ['plain', '', "$(id) 'quoted' \"twice\" \\ %s", 'line\nGIT_PUSH_OPTION_0=forged\n\nend\n', 'ä€😀']
    let environment: Record<string, string> = {}
    const push = await startPush(scene, {
      preReceive: (call) => { environment = call.environment; return { ok: true } },
      capabilities: 'report-status side-band-64k push-options',
      options
    })
    await push.done
    assert.equal(environment['GIT_PUSH_OPTION_COUNT'], '5')
    // git takes the newline off the end of a packet.
    assert.deepEqual(options.map((_, i) => environment[`GIT_PUSH_OPTION_${i}`]), options.map((option) => option.replace(/\n$/, '')))
    assert.match(environment['GIT_QUARANTINE_PATH'] ?? '', /incoming-/)
    assert.equal(environment['GIT_DIR'], scene.served)
  })

  test(`${name}: a hook of a thousand refs, and one that says more than a pipe holds`, async (t) => {
    const scene = await openScene(t, processes)
    const refs = Array.from({ length: 1_000 }, (_, i) => ({ ref: `refs/heads/${'x'.repeat(100)}/${i}` }))
    await writeHooks(scene, { 'pre-receive': 'wc -l >>ROOT/log', 'post-receive': 'exit 0' })
    let count = 0
    const push = await startPush(scene, {
      refs,
      preReceive: ({ commands, message }) => { count = commands.length; message('y'.repeat(300_000)); return { ok: true } }
    })
    const { report, remote } = await push.done
    assert.equal(count, 1_000)
    assert.equal(await logOf(scene), '1000\n')
    assert.equal(remote, `${'y'.repeat(300_000)}\n`)
    assert.match(report, /\/999\n0000$/)
  })

  test(`${name}: postReceive hears of the refs that moved, and cannot fail the push`, async (t) => {
    const scene = await openScene(t, processes)
    const heard: string[] = []
    const push = await startPush(scene, {
      preReceive: () => ({ ok: true, rejected: new Map([['refs/heads/b', 'no']]) }),
      postReceive: async ({ commands }) => {
        heard.push(...commands.map(({ ref }) => ref), await refsOf(scene))
        throw new Error('webhook down')
      },
      refs: [{ ref: 'refs/heads/a' }, { ref: 'refs/heads/b' }]
    })
    const { exit } = await push.done
    assert.equal(exit.code, 0)
    assert.deepEqual(heard, ['refs/heads/a', 'refs/heads/a'])
    assert.deepEqual(push.errors, ['post-receive: webhook down'])
  })

  test(`${name}: a preReceive that throws refuses`, async (t) => {
    const scene = await openScene(t, processes)
    const push = await startPush(scene, { preReceive: () => { throw new Error('no such table') } })
    assert.match((await push.done).report, /ng refs\/heads\/main/)
    assert.equal(push.point.reason, 'hook failed')
    assert.deepEqual(push.errors, ['pre-receive: no such table'])
    assert.ok(await hasNoObjects(scene))
  })

  test(`${name}: a deletion passes the hooks too`, async (t) => {
    const scene = await openScene(t, processes)
    await git(['push', '--quiet', scene.served, 'HEAD:refs/heads/a', 'HEAD:refs/heads/b'], { cwd: scene.work })
    const push = await startPush(scene, {
      preReceive: () => ({ ok: true, rejected: new Map([['refs/heads/b', 'stays']]) }),
      refs: [{ old: scene.id, new: ZERO, ref: 'refs/heads/a' }, { old: scene.id, new: ZERO, ref: 'refs/heads/b' }],
      capabilities: 'report-status side-band-64k delete-refs'
    })
    await push.done
    assert.equal(await refsOf(scene), 'refs/heads/b')
  })

  test(`${name}: a hundred pushes leave no descriptor and no folder`, async (t) => {
    const scene = await openScene(t, processes)
    const one = async (i: number): Promise<void> => {
      const push = await startPush(scene, {
        preReceive: () => i % 2 === 0 ? { ok: true } : { ok: false, reason: 'odd' }, postReceive: () => {}, refs: [{ ref: `refs/heads/${i}` }]
      })
      if (i % 5 === 4) await push.leave()
      await push.done
    }
    await one(0)
    const before = await descriptors()
    for (let i = 1; i < 100; i += 10) await Promise.all(Array.from({ length: 10 }, async (_, j) => await one(i + j)))
    await eventually(async () => (await descriptors()).length === before.length, 5_000, 'descriptors return')
    await assertNothingLeft(scene)
  })
}

test('what git says about a push certificate reaches the hook', async (t) => {
  const scene = await openScene(t, 0)
  await git(['config', 'receive.certNonceSeed', 'seed'], { cwd: scene.served })
  const certificate = ['certificate version 0.1', 'pusher Ann <ann@example.org> 1700000000 +0000', 'nonce 1-forged', '',
    `${ZERO} ${scene.id} refs/heads/main`, '-----BEGIN PGP SIGNATURE-----', '', 'x', '-----END PGP SIGNATURE-----', 'push-cert-end']
  let environment: Record<string, string> = {}
  const push = await startPush(scene, {
    preReceive: (call) => { environment = call.environment; return { ok: true } },
    send: (stdin, request) => {
      stdin.write(encodePacket('push-cert\0 report-status side-band-64k'))
      for (const line of certificate) stdin.write(encodePacket(`${line}\n`))
      stdin.end(request.subarray(request.indexOf('0000PACK')))
    }
  })
  assert.match((await push.done).report, /ok refs\/heads\/main/)
  const told = Object.fromEntries(Object.entries(environment).filter(([key]) => key.startsWith('GIT_PUSH_CERT')))
  assert.match(told['GIT_PUSH_CERT'] ?? '', /^[0-9a-f]{40}$/)
  // Bad or none: whether it is there to look depends on gpg.
  assert.match(told['GIT_PUSH_CERT_STATUS'] ?? '', /^[BEN]$/)
  assert.deepEqual({ ...told, GIT_PUSH_CERT: '', GIT_PUSH_CERT_NONCE: '', GIT_PUSH_CERT_STATUS: '' }, {
    GIT_PUSH_CERT: '',
    GIT_PUSH_CERT_SIGNER: '',
    GIT_PUSH_CERT_KEY: '',
    GIT_PUSH_CERT_STATUS: '',
    GIT_PUSH_CERT_NONCE: '',
    GIT_PUSH_CERT_NONCE_STATUS: 'BAD'
  })
})
