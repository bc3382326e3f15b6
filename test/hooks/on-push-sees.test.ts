import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import type { GitPush } from '../../lib/index.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { servePushes, type PushScene } from '../fixtures/push-scene.ts'
import { OpenPost, postPush, pushBody, ZERO } from '../fixtures/raw-push.ts'
import { commitFile } from '../fixtures/repository.ts'

const seen = (pushes: GitPush[]): unknown[] => pushes.at(-1)?.commands.map(({ kind, ref, old, new: to }) => [kind, ref, old, to]) ?? []

for (const processes of [1, 0]) {
  test(`onPush sees who pushes where, what, and with which words (${processes} helpers)`, async (t) => {
    const pushes: GitPush[] = []
    const scene = await servePushes(t, { spawner: { processes }, publicWrite: false, hooks: { onPush: (push) => { pushes.push(push) } } })
    await git(['config', 'receive.advertisePushOptions', 'true'], { cwd: scene.served })
    const url = `${scene.urlAs('alice', 'secret')}/app.git`
    const { code, stderr } = await scene.push(['-o', 'ci.skip', '-o', 'reason=a b', url, 'main', 'main:topic'])
    assert.equal(code, 0, stderr)
    const [push] = pushes as [GitPush]
    const { repository, directory, service, phase, access, user } = push.operation
    assert.deepEqual([repository, directory, service, phase, access, user], ['app.git', scene.served, 'receive-pack', 'exchange', 'write', 'alice'])
    assert.deepEqual(seen(pushes), [['create', 'refs/heads/main', ZERO, scene.id], ['create', 'refs/heads/topic', ZERO, scene.id]])
    assert.deepEqual(push.options, ['ci.skip', 'reason=a b'])
    assert.match(push.agent ?? '', /^git\/\d/)
    assert.ok(push.capabilities.includes('report-status-v2'))
    assert.equal(push.certificate, null)
    assert.match(push.request.headers['user-agent'] ?? '', /^git\//)

    const next = await commitFile(scene.work, 'more.txt', 'more\n')
    assert.equal((await scene.push([url, 'main', ':topic'])).code, 0)
    assert.deepEqual(seen(pushes).sort(), [['delete', 'refs/heads/topic', scene.id, ZERO], ['update', 'refs/heads/main', scene.id, next]])
    assert.deepEqual(await scene.refs(), ['refs/heads/main'])
  })
}

test('a symbolic ref tells where it leads, over several steps, in a namespace too', async (t) => {
  const pushes: GitPush[] = []
  const scene = await servePushes(t, {
    namespace: (_operation, request) => request.headers['x-space'] === 'team' ? 'team' : undefined,
    hooks: { onPush: (push) => { pushes.push(push) } }
  })
  const touched = (): unknown => pushes.at(-1)?.commands.map(({ ref, touches }) => [ref, ...touches])
  await scene.push([scene.appUrl, 'main'])
  assert.deepEqual(touched(), [['refs/heads/main', 'refs/heads/main']])
  await git(['symbolic-ref', 'refs/heads/latest', 'refs/heads/stable'], { cwd: scene.served })
  await git(['symbolic-ref', 'refs/heads/stable', 'refs/heads/main'], { cwd: scene.served })
  const next = await commitFile(scene.work, 'more.txt', 'more\n')
  assert.equal((await scene.push([scene.appUrl, 'main:latest'])).code, 0)
  assert.deepEqual(touched(), [['refs/heads/latest', 'refs/heads/latest', 'refs/heads/stable', 'refs/heads/main']])
  assert.equal(await git(['rev-parse', 'main'], { cwd: scene.served }), next)

  await git(['-c', 'core.preferSymlinkRefs=true', 'symbolic-ref', 'refs/heads/linked', 'refs/heads/main'], { cwd: scene.served })
  // git does not list it, and moves its target all the same.
  const { head, pack } = await pushBody(scene.work, scene.id, { commands: [{ old: next, ref: 'refs/heads/linked' }] })
  assert.match(await postPush(scene.port, Buffer.concat([head, pack])), /ok refs\/heads\/linked/)
  assert.deepEqual(touched(), [['refs/heads/linked', 'refs/heads/linked', 'refs/heads/main']])
  assert.equal(await git(['rev-parse', 'main'], { cwd: scene.served }), scene.id)

  await git(['symbolic-ref', 'refs/namespaces/team/refs/heads/latest', 'refs/namespaces/team/refs/heads/main'], { cwd: scene.served })
  assert.equal((await scene.push([scene.appUrl, 'main:latest'], { env: { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'http.extraHeader', GIT_CONFIG_VALUE_0: 'x-space: team' } })).code, 0)
  assert.deepEqual(touched(), [['refs/heads/latest', 'refs/heads/latest', 'refs/heads/main']])
})

async function sshKey (folder: string): Promise<string> {
  const key = join(folder, 'key')
  await promisify(execFile)('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'ann', '-f', key])
  return key
}

test('a signed push shows its certificate, and preReceive what git thinks of it', async (t) => {
  const pushes: GitPush[] = []
  const environments: Array<Record<string, string>> = []
  const scene = await servePushes(t, {
    hooks: { onPush: (push) => { pushes.push(push) }, preReceive: ({ environment }) => { environments.push(environment) } }
  })
  const key = await sshKey(await temporaryFolder(t))
  await git(['config', 'receive.certNonceSeed', 'seed'], { cwd: scene.served })
  const { code, stderr } = await scene.push(['--signed', scene.appUrl, 'main'], {
    env: { GIT_CONFIG_COUNT: '2', GIT_CONFIG_KEY_0: 'gpg.format', GIT_CONFIG_VALUE_0: 'ssh', GIT_CONFIG_KEY_1: 'user.signingKey', GIT_CONFIG_VALUE_1: `key::${(await readFile(`${key}.pub`, 'utf8')).trim()}`, SSH_AUTH_SOCK: await agent(t, key) }
  })
  assert.equal(code, 0, stderr)
  const [push] = pushes as [GitPush]
  assert.match(push.certificate ?? '', /^certificate version 0\.1\npusher /)
  assert.match(push.certificate ?? '', new RegExp(`\n${ZERO} ${scene.id} refs/heads/main\n-----BEGIN SSH SIGNATURE-----`))
  assert.equal(environments[0]?.['GIT_PUSH_CERT_NONCE_STATUS'], 'OK')
})

/** An ssh agent with the key; it ends with the test. */
async function agent (t: TestContext, key: string): Promise<string> {
  const { stdout } = await promisify(execFile)('ssh-agent', ['-s'])
  const [, socket = '', pid = ''] = /SSH_AUTH_SOCK=([^;]+);.*SSH_AGENT_PID=(\d+)/s.exec(stdout) ?? []
  t.after(() => process.kill(Number(pid)))
  await promisify(execFile)('ssh-add', ['-q', key], { env: { ...process.env, SSH_AUTH_SOCK: socket } })
  return socket
}

test('the probe, and a push without commands, are no pushes', async (t) => {
  let called = 0
  const scene = await servePushes(t, { hooks: { onPush: () => { called++ }, preReceive: () => { called++ }, postReceive: () => { called++ } } })
  assert.match(await postPush(scene.port, Buffer.from('0000')), /^HTTP\/1\.1 200 /)
  assert.match(await postPush(scene.port, Buffer.from(`0034shallow ${scene.id}0000`)), /^HTTP\/1\.1 200 /)
  assert.equal((await scene.push([scene.appUrl, 'main'])).code, 0)
  assert.equal(called, 3)
  // Nothing to push: git asks nothing at all.
  assert.match((await scene.push([scene.appUrl, 'main'])).stderr, /Everything up-to-date/)
  assert.equal(called, 3)
})

test('a push is the same push wherever its bytes are cut, plain or gzip', async (t) => {
  const pushes: string[] = []
  const scene: PushScene = await servePushes(t, { hooks: { onPush: ({ commands, options }) => { pushes.push(JSON.stringify([commands, options])) } } })
  await git(['config', 'receive.advertisePushOptions', 'true'], { cwd: scene.served })
  const { head, pack } = await pushBody(scene.work, scene.id, {
    commands: [{ ref: 'refs/heads/a' }, { ref: 'refs/heads/b' }], capabilities: 'report-status push-options', options: ['x=1']
  })
  const body = Buffer.concat([head, pack])
  for (const gzip of [false, true]) {
    const bytes = gzip ? gzipSync(body) : body
    const cuts = [1, 3, 4, 5, 44, 85, head.length - 1, head.length, head.length + 1, bytes.length - 21, bytes.length - 1].filter((cut) => cut < bytes.length)
    for (const cut of cuts) {
      await Promise.all(['a', 'b'].map(async (name) => await git(['update-ref', '-d', `refs/heads/${name}`], { cwd: scene.served })))
      const post = await OpenPost.open(scene.port, '/app.git', 'receive-pack', gzip ? ['Content-Encoding: gzip'] : [])
      post.socket.setNoDelay(true)
      post.send(bytes.subarray(0, cut))
      await new Promise((resolve) => setImmediate(resolve))
      post.send(bytes.subarray(cut))
      assert.match(await post.end(), /unpack ok\n.*ok refs\/heads\/a\n.*ok refs\/heads\/b\n/s, `cut at ${cut}`)
    }
  }
  assert.equal(new Set(pushes).size, 1)
})
