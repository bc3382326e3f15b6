import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, rm, stat, utimes } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import { test } from 'node:test'
import { Spawner } from '../../lib/git/spawner.ts'
import { HookFolder } from '../../lib/push/hook-folder.ts'
import { git } from '../fixtures/git.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { programPath } from '../fixtures/program.ts'
import { assertNothingLeft, hasNoObjects, logOf, openScene, refsOf, startPush, writeHooks, type Push, type Running, type Scene } from './hook-scene.ts'

const never = async (): Promise<never> => await new Promise(() => {})

/** A push whose preReceive has begun and does not end; `signal` is its. */
async function stuck (scene: Scene, push: Push = {}): Promise<Running & { signal: AbortSignal }> {
  let begun = (_signal: AbortSignal): void => {}
  const inHook = new Promise<AbortSignal>((resolve) => { begun = resolve })
  const running = await startPush(scene, {
    preReceive: async ({ signal, git: run }) => {
      const idle = await run(['cat-file', '--batch'], { input: true })
      idle.stdout.on('error', () => {})
      begun(signal)
      return await never()
    },
    ...push
  })
  return { ...running, signal: await inHook }
}

async function shimOf (scene: Scene): Promise<number> {
  const lines = await processesAbout(scene.folder.path)
  const shim = lines.find((line) => /\/pre-receive/.test(line) && /^\d+ \/bin\/sh/.test(line))
  assert.ok(shim, lines.join('\n'))
  return Number.parseInt(shim)
}

for (const [name, processes] of [['direct', 0], ['spawner', 1]] as const) {
  test(`${name}: a preReceive that takes too long refuses, and what it started ends`, async (t) => {
    const scene = await openScene(t, processes)
    const { done, point, errors, signal } = await stuck(scene, { deadline: 300 })
    assert.match((await done).report, /ng refs\/heads\/main pre-receive hook declined/)
    assert.equal(point.reason, 'hook timed out')
    assert.deepEqual(errors, ['pre-receive: pre-receive did not end in time'])
    assert.ok(signal.aborted)
    assert.ok(await hasNoObjects(scene))
    await assertNothingLeft(scene)
  })

  test(`${name}: a postReceive that takes too long does not fail the push`, async (t) => {
    const scene = await openScene(t, processes)
    const push = await startPush(scene, { postReceive: never, deadline: 300 })
    const { report, exit } = await push.done
    assert.match(report, /ok refs\/heads\/main/)
    assert.deepEqual([exit.code, push.errors], [0, ['post-receive: post-receive did not end in time']])
    await assertNothingLeft(scene)
  })

  test(`${name}: a pre-receive of the repository's own that hangs is ended with its children, and git cleans up`, async (t) => {
    const scene = await openScene(t, processes)
    await writeHooks(scene, { 'pre-receive': 'trap "" TERM\n(while :; do sleep 1; done) &\nwhile :; do sleep 1; done' })
    const push = await startPush(scene, { preReceive: () => ({ ok: true }), deadline: 300 })
    const { report, exit } = await push.done
    assert.match(report, /ng refs\/heads\/main pre-receive hook declined/)
    assert.deepEqual([exit.code, push.point.reason], [0, 'hook timed out'])
    assert.ok(await hasNoObjects(scene))
    await assertNothingLeft(scene)
  })

  test(`${name}: an update of the repository's own that hangs costs its ref only`, async (t) => {
    const scene = await openScene(t, processes)
    await writeHooks(scene, { update: 'test "$1" != refs/heads/b || sleep 1000' })
    const refs = [{ ref: 'refs/heads/a' }, { ref: 'refs/heads/b' }, { ref: 'refs/heads/c' }]
    const push = await startPush(scene, { refs, deadline: 500 })
    assert.match((await push.done).report, /ok refs\/heads\/a\n.*ng refs\/heads\/b hook declined\n.*ok refs\/heads\/c\n/s)
    assert.deepEqual([...push.point.reasons], [['refs/heads/b', 'hook timed out']])
    await assertNothingLeft(scene)
  })

  test(`${name}: a post-receive of the repository's own that hangs is ended, and postReceive follows`, async (t) => {
    const scene = await openScene(t, processes)
    await writeHooks(scene, { 'post-receive': 'sleep 1000' })
    let called = 0
    const push = await startPush(scene, { postReceive: () => { called++ }, deadline: 300 })
    assert.match((await push.done).report, /ok refs\/heads\/main/)
    assert.equal(called, 1)
    await assertNothingLeft(scene)
  })

  test(`${name}: the client leaves while preReceive works`, async (t) => {
    const scene = await openScene(t, processes)
    const { leave, signal, errors } = await stuck(scene)
    await leave()
    assert.ok(signal.aborted)
    assert.deepEqual(errors, [])
    assert.equal(await refsOf(scene), '')
    assert.ok(await hasNoObjects(scene))
    await assertNothingLeft(scene)
  })

  test(`${name}: the client leaves before its pack is complete`, async (t) => {
    const scene = await openScene(t, processes)
    const push = await startPush(scene, { preReceive: () => ({ ok: true }), send: (stdin, request) => stdin.write(request.subarray(0, -25)) })
    await eventually(async () => (await readdir(join(scene.served, 'objects'))).some((entry) => entry.includes('incoming')), 5_000, 'the quarantine appears')
    await push.leave()
    assert.equal(push.point.reached, false)
    assert.equal(await refsOf(scene), '')
    await assertNothingLeft(scene)
  })

  test(`${name}: the shim is killed`, async (t) => {
    const scene = await openScene(t, processes)
    const { done } = await stuck(scene)
    process.kill(await shimOf(scene), 'SIGKILL')
    const { report, exit } = await done
    assert.match(report, /ng refs\/heads\/main pre-receive hook declined/)
    assert.equal(exit.code, 0)
    assert.ok(await hasNoObjects(scene))
    await assertNothingLeft(scene)
  })

  test(`${name}: git is killed`, async (t) => {
    const scene = await openScene(t, processes)
    const { done, git: receivePack, signal } = await stuck(scene)
    process.kill(receivePack.pid, 'SIGKILL')
    const { exit } = await done
    assert.deepEqual([exit.signal, signal.aborted], ['SIGKILL', true])
    assert.equal(await refsOf(scene), '')
    await eventually(async () => (await processesAbout(scene.served)).length === 0, 5_000, 'the shim ends')
    assert.deepEqual(await readdir(scene.folder.path), ['shim'])
  })

  test(`${name}: the server is killed`, async (t) => {
    const root = await temporaryFolder(t)
    const server = fork(programPath('hook-server', import.meta.url), [root, String(processes)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const [{ served }] = await once(server, 'message') as [{ served: string }]
    server.kill('SIGKILL')
    await once(server, 'exit')
    await eventually(async () => (await processesAbout(root)).length === 0, 5_000, 'processes end')
    assert.equal(await git(['for-each-ref'], { cwd: served }), '')
    const files = await readdir(served, { recursive: true })
    // Without a helper nobody reads what receive-pack reports: it dies of SIGPIPE and leaves its quarantine to lib/git/sweep.ts.
    const isExpected = (file: string): boolean => processes === 0 && file.startsWith('objects/tmp_objdir-incoming-')
    assert.deepEqual(files.filter((file) => /tmp_|incoming-/.test(file) && !isExpected(file)), [])
    assert.deepEqual(files.filter((file) => /\.lock$/.test(file)), [])
    const left = async (): Promise<string[]> => (await readdir(root)).filter((file) => file.includes('-hooks-'))
    // Without a helper nobody is there to remove it, and git must find its hooks for as long as it may run.
    if (processes === 0) assert.equal((await left()).length, 1)
    else await eventually(async () => (await left()).length === 0, 5_000, 'the folder is removed')
  })
}

test('the helper is killed: the push is refused or ended, never let through', async (t) => {
  const scene = await openScene(t, 1)
  const { done, signal } = await stuck(scene)
  process.kill((scene.starter as Spawner).pids[0] ?? 0, 'SIGKILL')
  const { exit } = await done
  assert.equal((exit.error as { code?: string } | undefined)?.code, 'FST_GIT_UNAVAILABLE')
  assert.ok(signal.aborted)
  assert.equal(await refsOf(scene), '')
  await assertNothingLeft(scene)
})

test('a hook that closes the channel, or writes nonsense to it, refuses itself only', async (t) => {
  const scene = await openScene(t, 0)
  for (const body of ['exec 3>&-', 'echo nonsense >&3; printf "x\\000" >&3; cat <&3', 'head -c 20000000 /dev/zero | tr "\\0" x >&3']) {
    const shim = join(scene.folder.path, 'shim')
    const other = await HookFolder.open()
    await rm(shim)
    await writeHooks(scene, { shim: `${body}\nexit 1` }, scene.folder.path)
    const { report } = await (await startPush(scene, { preReceive: () => ({ ok: true }) })).done
    assert.match(report, /ng refs\/heads\/main/)
    await other.close()
  }
  await assertNothingLeft(scene)
})

test('a message for a client that does not read is dropped when too much waits', async (t) => {
  const scene = await openScene(t, 0)
  const push = await startPush(scene, {
    preReceive: async ({ message }) => {
      for (let i = 0; i < 1_000; i++) message('x'.repeat(100_000))
      return { ok: true }
    }
  })
  const { report, remote } = await push.done
  assert.match(report, /ok refs\/heads\/main/)
  assert.ok(remote.length < 3_000_000, `${remote.length} bytes`)
})

test('when somebody removed the shim it is made again; where it cannot run no push begins', async (t) => {
  const scene = await openScene(t, 0)
  await rm(scene.folder.path, { recursive: true })
  const push = await startPush(scene, { preReceive: () => ({ ok: false, reason: 'no' }) })
  await push.done
  assert.equal(push.point.reason, 'no')
  await chmod(join(scene.folder.path, 'shim'), 0o600)
  await assert.rejects(startPush(scene, { preReceive: () => ({ ok: true }) }), { code: 'FST_GIT_INTERNAL' })
  await assertNothingLeft(scene)
  const { TMPDIR } = process.env
  t.after(() => { TMPDIR === undefined ? delete process.env['TMPDIR'] : process.env['TMPDIR'] = TMPDIR })
  process.env['TMPDIR'] = join(scene.root, 'missing')
  await assert.rejects(HookFolder.open(), { code: 'FST_GIT_INVALID_OPTION', message: /'hooks' need a temporary folder/ })
})

test('folders of servers that were killed are removed after a day, younger ones and strangers\' are not', async (t) => {
  const root = await temporaryFolder(t)
  const { TMPDIR } = process.env
  t.after(() => { TMPDIR === undefined ? delete process.env['TMPDIR'] : process.env['TMPDIR'] = TMPDIR })
  // git would look for a relative one in the repository.
  process.env['TMPDIR'] = relative(process.cwd(), root)
  const names = ['fastify-git-http-hooks-old', 'fastify-git-http-hooks-young', 'other-old']
  for (const name of names) await mkdir(join(root, name))
  const before = new Date(Date.now() - 25 * 3_600_000)
  for (const name of names.filter((name) => name.endsWith('old'))) await utimes(join(root, name), before, before)
  const folder = await HookFolder.open()
  const left = (await readdir(root)).filter((name) => join(root, name) !== folder.path).sort()
  assert.deepEqual(left, ['fastify-git-http-hooks-young', 'other-old'])
  assert.equal(folder.path, join(root, basename(folder.path)))
  assert.equal((await stat(folder.path)).mode & 0o777, 0o700)
  await folder.close()
  assert.ok(!(await readdir(root)).some((name) => join(root, name) === folder.path))
})

test('a push with hooks leaves a detached process of the repository\'s own hook alone', async (t) => {
  const scene = await openScene(t, 0)
  await writeHooks(scene, { 'post-receive': '(sleep 0.5; echo late >>ROOT/log) >/dev/null 2>&1 &' })
  await (await startPush(scene, { postReceive: () => {} })).done
  await eventually(async () => await logOf(scene) === 'late\n', 5_000, 'it finishes')
})
