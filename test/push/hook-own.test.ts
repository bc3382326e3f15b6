import assert from 'node:assert/strict'
import { chmod, mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Starter } from '../../lib/git/starter.ts'
import { git } from '../fixtures/git.ts'
import { commitFile, makeWorkingCopy } from '../fixtures/repository.ts'
import { assertNothingLeft, logOf, openScene, refsOf, startPush, writeHooks, ZERO, type Push, type Scene } from './hook-scene.ts'

const accept: Push = { preReceive: () => ({ ok: true }), postReceive: () => {} }
const NOTE = 'echo "$(basename "$0") $*" >>ROOT/log'
/** Says in the log when the host's hooks ran. */
function noting (scene: Scene): Push {
  const note = async (line: string): Promise<void> => await writeFile(join(scene.root, 'log'), `${line}\n`, { flag: 'a' })
  return {
    preReceive: async () => { await note('preReceive'); return { ok: true } },
    postReceive: async () => await note('postReceive')
  }
}

test('all hooks of the repository run, in git\'s order, ours before its pre-receive and after its post-receive', async (t) => {
  const scene = await openScene(t, 0)
  const names = ['pre-receive', 'update', 'post-receive', 'post-update', 'reference-transaction', 'proc-receive', 'pre-commit']
  await writeHooks(scene, Object.fromEntries(names.map((name) => [name, NOTE])))
  await (await startPush(scene, noting(scene))).done
  const expected = `preReceive\npre-receive \nupdate refs/heads/main ${ZERO} ${scene.id}\nreference-transaction prepared\n` +
    'reference-transaction committed\npost-receive \npostReceive\npost-update refs/heads/main\n'
  assert.equal(await logOf(scene), expected)
  await assertNothingLeft(scene)
})

test('the repository\'s hooks see what they would see without ours: input, arguments, environment', async (t) => {
  const scene = await openScene(t, 0)
  const body = 'cat >>ROOT/log; echo "$(basename "$0") $*" >>ROOT/log; env | grep -v "^_=\\|incoming-" | sort >>ROOT/log'
  const config = { 'my.key': "it's" }
  const logs: string[] = []
  for (const hooks of ['ours', 'none']) {
    await writeHooks(scene, { 'pre-receive': body, update: `exec </dev/null; ${body}`, 'post-receive': body, 'post-update': `exec </dev/null; ${body}` })
    const push = { ...accept, config, env: { hook: 'x', shim: 'y' }, refs: [{ ref: 'refs/heads/main' }, { ref: 'refs/heads/two' }] }
    if (hooks === 'ours') await (await startPush(scene, push)).done
    else await withoutOurs(scene, push)
    logs.push(await logOf(scene))
    await writeFile(join(scene.root, 'log'), '')
    await git(['update-ref', '-d', 'refs/heads/main'], { cwd: scene.served })
    await git(['update-ref', '-d', 'refs/heads/two'], { cwd: scene.served })
  }
  assert.match(logs[0] ?? '', /GIT_CONFIG_PARAMETERS=.*my\.key/)
  assert.equal(logs[0], logs[1])
})

/** The same push with the same options, and git's ordinary way to its hooks. */
async function withoutOurs (scene: Scene, push: Push): Promise<void> {
  const start: Starter['start'] = async (args, env, options) => {
    const at = args.findIndex((arg) => arg.startsWith('core.hooksPath='))
    const { FASTIFY_GIT_HTTP_OWN_HOOKS: _, ...rest } = env
    return await scene.starter.start(at < 0 ? args : args.toSpliced(at - 1, 2), rest, options)
  }
  const starter = { ...scene.starter, start }
  await (await startPush({ ...scene, starter }, push)).done
}

for (const where of ['absolute', 'relative', 'home'] as const) {
  test(`a core.hooksPath of the repository's own counts: ${where}`, async (t) => {
    const scene = await openScene(t, 0)
    const folder = join(scene.served, 'my hooks')
    await mkdir(folder)
    await writeHooks(scene, { 'pre-receive': NOTE, update: NOTE, 'post-receive': 'git config core.hooksPath >>ROOT/log' }, folder)
    await writeHooks(scene, { 'pre-receive': 'echo wrong >>ROOT/log', 'post-update': 'echo wrong >>ROOT/log' })
    const value = { absolute: folder, relative: 'my hooks', home: '~/my hooks' }[where]
    await git(['config', 'core.hooksPath', value], { cwd: scene.served })
    const push = await startPush(scene, { ...noting(scene), env: { HOME: scene.served } })
    await push.done
    assert.equal(await logOf(scene), `preReceive\npre-receive \nupdate refs/heads/main ${ZERO} ${scene.id}\n${value}\npostReceive\n`)
  })
}

test('the channel is none of the repository\'s hooks\' business', async (t) => {
  const scene = await openScene(t, 0)
  const look = 'if { true >&3; } 2>/dev/null; then echo open; else echo closed; fi >>ROOT/log'
  await writeHooks(scene, { 'pre-receive': look, update: look, 'post-receive': look, 'post-update': look })
  await (await startPush(scene, accept)).done
  assert.equal(await logOf(scene), 'closed\n'.repeat(4))
})

test('what only git can tell about core.hooksPath is asked of git', async (t) => {
  const scene = await openScene(t, 0)
  await git(['config', 'core.hooksPath', '~nobody-of-that-name/hooks'], { cwd: scene.served })
  await assert.rejects(startPush(scene, accept), { code: 'FST_GIT_FAILED' })
  await git(['config', 'core.hooksPath', '~root/no-hooks-here'], { cwd: scene.served })
  assert.match((await (await startPush(scene, accept)).done).report, /ok refs\/heads\/main/)
})

test('an empty core.hooksPath turns the repository\'s hooks off, not ours', async (t) => {
  const scene = await openScene(t, 0)
  await writeHooks(scene, { 'pre-receive': NOTE, 'post-update': NOTE })
  await (await startPush(scene, { ...noting(scene), config: { 'core.hooksPath': '/dev/null' } })).done
  await git(['config', 'core.hooksPath', '/dev/null'], { cwd: scene.served })
  await (await startPush(scene, { ...noting(scene), refs: [{ ref: 'refs/heads/two' }] })).done
  assert.match(await logOf(scene), /preReceive\npostReceive\n$/)
})

test('hooks that are not executable are ignored, as git does', async (t) => {
  const scene = await openScene(t, 0)
  const names = ['pre-receive', 'update', 'post-receive', 'post-update', 'reference-transaction']
  await writeHooks(scene, Object.fromEntries(names.map((name) => [name, `${NOTE}; exit 1`])))
  for (const name of names) await chmod(join(scene.served, 'hooks', name), 0o644)
  assert.match((await (await startPush(scene, noting(scene))).done).report, /ok refs\/heads\/main/)
  assert.equal(await logOf(scene), 'preReceive\npostReceive\n')
})

test('the repository\'s own hooks decide as before', async (t) => {
  const scene = await openScene(t, 0)
  await writeHooks(scene, { update: 'test "$1" != refs/heads/locked' })
  const refs = [{ ref: 'refs/heads/a' }, { ref: 'refs/heads/locked' }]
  assert.match((await (await startPush(scene, { ...accept, refs })).done).report, /ok refs\/heads\/a\n.*ng refs\/heads\/locked hook declined/s)
  await writeHooks(scene, { 'pre-receive': 'echo not today; exit 3' })
  const { report, remote } = await (await startPush(scene, { ...accept, refs: [{ ref: 'refs/heads/b' }] })).done
  assert.match(report, /ng refs\/heads\/b pre-receive hook declined/)
  assert.equal(remote, 'not today\n')
  assert.equal(await refsOf(scene), 'refs/heads/a')
})

test('a push that preReceive refuses never reaches the repository\'s own hook', async (t) => {
  const scene = await openScene(t, 0)
  await writeHooks(scene, { 'pre-receive': NOTE })
  await (await startPush(scene, { preReceive: () => ({ ok: false, reason: 'no' }) })).done
  assert.equal(await logOf(scene), '')
})

test('a hook that does not read its input, has no first line, or ends by a signal', async (t) => {
  const scene = await openScene(t, 0)
  const refs = Array.from({ length: 2_000 }, (_, i) => ({ ref: `refs/heads/${'x'.repeat(60)}-${i}` }))
  await writeHooks(scene, { 'pre-receive': 'exec <&-; exit 0' })
  assert.match((await (await startPush(scene, { ...accept, refs })).done).report, /unpack ok\n.*ok refs/s)
  await writeFile(join(scene.served, 'hooks', 'pre-receive'), 'exit 5\n')
  assert.match((await (await startPush(scene, accept)).done).report, /ng refs\/heads\/main pre-receive hook declined/)
  await writeHooks(scene, { 'pre-receive': 'kill -9 $$' })
  assert.match((await (await startPush(scene, accept)).done).report, /ng refs\/heads\/main pre-receive hook declined/)
})

test('a repository without proc-receive has none with us either, and one that has it keeps it', async (t) => {
  const scene = await openScene(t, 0)
  await git(['config', 'receive.procReceiveRefs', 'refs/for'], { cwd: scene.served })
  const refs = [{ ref: 'refs/for/main/x' }, { ref: 'refs/heads/main' }]
  const without = await (await startPush(scene, { ...accept, refs })).done
  assert.match(without.remote, /cannot find hook 'proc-receive'/)
  assert.match(without.report, /ng refs\/for\/main\/x fail to run proc-receive hook\n/)
  await writeHooks(scene, { 'proc-receive': 'printf "000dversion=100000016ok refs/for/main/x0000"; cat >/dev/null' })
  const refs2 = [{ ref: 'refs/for/main/x' }, { ref: 'refs/heads/two' }]
  const { report } = await (await startPush(scene, { ...accept, refs: refs2 })).done
  assert.match(report, /ok refs\/for\/main\/x\n.*ok refs\/heads\/two\n/s)
})

test('a ref that would go to proc-receive cannot slip by a rejection', async (t) => {
  const scene = await openScene(t, 0)
  await git(['config', 'receive.procReceiveRefs', 'refs/for'], { cwd: scene.served })
  await writeHooks(scene, { 'proc-receive': `${NOTE}; printf "000dversion=100000016ok refs/for/main/x0000"; cat >/dev/null` })
  const push = await startPush(scene, {
    preReceive: () => ({ ok: true, rejected: new Map([['refs/for/main/x', 'no']]) }),
    refs: [{ ref: 'refs/for/main/x' }, { ref: 'refs/heads/main' }]
  })
  assert.match((await push.done).report, /ng refs\/for\/main\/x pre-receive hook declined\n.*ng refs\/heads\/main/s)
  assert.deepEqual([push.point.reasons.get('refs/for/main/x'), push.point.reason], ['no', 'another ref of the push was rejected'])
  assert.equal(await logOf(scene), '')
})

test('a working copy that follows its branch: push-to-checkout, or none', async (t) => {
  const scene = await openScene(t, 0)
  const copy = await makeWorkingCopy(scene.root, 'copy')
  await git(['config', 'receive.denyCurrentBranch', 'updateInstead'], { cwd: copy })
  await git(['fetch', '--quiet', copy, 'main'], { cwd: scene.work })
  await git(['reset', '--quiet', '--hard', 'FETCH_HEAD'], { cwd: scene.work })
  const directory = join(copy, '.git')
  const old = await git(['rev-parse', 'HEAD'], { cwd: copy })
  const id = await commitFile(scene.work, 'new.txt', 'new\n')
  await writeHooks(scene, { 'post-index-change': NOTE }, join(directory, 'hooks'))
  assert.match((await (await startPush(scene, { ...accept, directory, refs: [{ old, new: id, ref: 'refs/heads/main' }] })).done).report, /ok refs/)
  assert.match(await logOf(scene), /^post-index-change 1 0$/m)
  assert.equal(await git(['status', '--porcelain'], { cwd: copy }), '')

  const next = await commitFile(scene.work, 'next.txt', 'next\n')
  await writeHooks(scene, { 'push-to-checkout': NOTE }, join(directory, 'hooks'))
  assert.match((await (await startPush(scene, { ...accept, directory, refs: [{ old: id, new: next, ref: 'refs/heads/main' }] })).done).report, /ok refs/)
  assert.match(await logOf(scene), new RegExp(`push-to-checkout ${next}\n$`))
})

test('git gc --auto asks the repository\'s own pre-auto-gc', async (t) => {
  const scene = await openScene(t, 0)
  const config = { 'gc.autoPackLimit': '1', 'receive.unpackLimit': '1', 'receive.autogc': 'true' }
  await writeHooks(scene, { 'pre-auto-gc': `${NOTE}; exit 1` })
  for (const name of ['a', 'b', 'c']) {
    const id = await commitFile(scene.work, name, name)
    await (await startPush(scene, { ...accept, config, refs: [{ new: id, ref: `refs/heads/${name}` }] })).done
  }
  assert.match(await logOf(scene), /^(pre-auto-gc \n)+$/)
})

test('a git that the repository\'s hook runs elsewhere meets that place\'s hooks, not ours', async (t) => {
  const scene = await openScene(t, 0)
  const other = await makeWorkingCopy(scene.root, 'other')
  await writeHooks(scene, { 'post-commit': 'echo committed >>ROOT/log' }, join(other, '.git', 'hooks'))
  const commit = 'unset GIT_DIR GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\ngit -C ROOT/other commit --quiet --allow-empty -m x'
  await writeHooks(scene, { 'pre-receive': commit, update: commit, 'post-receive': commit, 'post-update': commit })
  await (await startPush(scene, accept)).done
  assert.equal(await logOf(scene), 'committed\n'.repeat(4))
})

test('a shim that somebody else starts refuses', async (t) => {
  const scene = await openScene(t, 0)
  const shim = join(scene.folder.path, 'pre-receive')
  await rename(join(scene.folder.path, 'shim'), shim)
  await git(['config', 'core.hooksPath', scene.folder.path], { cwd: scene.served })
  await assert.rejects(git(['push', '--quiet', scene.served, 'main'], { cwd: scene.work }), /pre-receive hook declined/)
})
