import assert from 'node:assert/strict'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startCommand, runCommand } from '../../fixtures/command.ts'
import { git, tryGit } from '../../fixtures/git.ts'
import { temporaryFolder } from '../../fixtures/folder.ts'
import { endOf, openFetch } from '../../fixtures/post-fetch.ts'
import { isAlive } from '../../fixtures/helpers.ts'
import { eventually, processesAbout } from '../../fixtures/processes.ts'
import { MB, replaced, startWorkers } from './scene.ts'

test('a worker that is killed is replaced', async (t) => {
  const scene = await startWorkers(t, { workers: '2' })
  const [first = 0, second] = scene.workers()
  process.kill(first, 'SIGKILL')
  await eventually(async () => scene.workers().length === 2 && !scene.workers().includes(first), 15_000, 'there is another one')
  assert.ok(scene.workers().includes(second as number), 'the other one goes on')
  for (let i = 0; i < 4; i++) await git(['ls-remote', scene.appUrl])
})

test('SIGHUP replaces the workers while clients come and go, and none of them fails', async (t) => {
  const scene = await startWorkers(t, { workers: '2', stopAfter: 2 * MB })
  // One that takes longer than the old workers would.
  const long = await openFetch(scene.appUrl, scene.body)
  const before = scene.workers()
  const over = new AbortController()
  const clients = Array.from({ length: 4 }, async () => {
    let count = 0
    while (!over.signal.aborted) {
      const { code, stderr } = await tryGit(['ls-remote', scene.appUrl])
      assert.equal(code, 0, stderr)
      count++
    }
    return count
  })
  scene.child.kill('SIGHUP')
  await replaced(scene, before)
  over.abort()
  assert.ok((await Promise.all(clients)).every((count) => count > 0))
  await scene.open()
  assert.equal(await endOf(long), 'whole')
  await eventually(async () => before.every((pid) => !isAlive(pid)), 15_000, 'the old ones end after their transfers')
})

test('SIGHUP reads files again; when something is wrong with them, the old workers go on', async (t) => {
  const folder = await temporaryFolder(t)
  const accessFile = join(folder, 'access.ini')
  await writeFile(accessFile, '[users]\n')
  const scene = await startWorkers(t, { workers: '2', args: ['--access-file', accessFile] })
  const before = scene.workers()
  await rename(accessFile, `${accessFile}.away`)
  scene.child.kill('SIGHUP')
  await scene.logged('new workers do not start; the old ones go on')
  assert.deepEqual(scene.workers(), before)
  await git(['ls-remote', scene.appUrl])
  await rename(`${accessFile}.away`, accessFile)
  scene.child.kill('SIGHUP')
  await replaced(scene, before)
  await git(['ls-remote', scene.appUrl])
})

test('SIGTERM ends all workers after their transfers, and meanwhile they say that they are not ready', async (t) => {
  const scene = await startWorkers(t, { workers: '2', stopAfter: 2 * MB })
  const long = await openFetch(scene.appUrl, scene.body)
  assert.equal((await fetch(`${scene.url}/-/ready`)).status, 200)
  scene.child.kill('SIGTERM')
  await scene.logged('stopping after')
  await eventually(async () => (await Promise.all([1, 2, 3, 4].map(async () => await fetch(`${scene.url}/-/ready`).then(({ status }) => status, () => 0)))).some((status) => status === 503), 5_000, 'it is not ready')
  assert.equal(scene.child.exitCode, null)
  await scene.open()
  assert.equal(await endOf(long), 'whole')
  assert.equal((await scene.ended).code, 0)
  assert.deepEqual(await processesAbout(scene.root), [])
})

test('SIGTERM while new workers are being started ends all', async (t) => {
  const scene = await startWorkers(t, { workers: '2' })
  scene.child.kill('SIGHUP')
  await scene.logged('starting new workers')
  scene.child.kill('SIGTERM')
  assert.equal((await scene.ended).code, 0)
  await eventually(async () => (await processesAbout(scene.root)).length === 0, 5_000, 'nothing is left')
})

test('a second signal ends all at once', async (t) => {
  const scene = await startWorkers(t, { workers: '2', stopAfter: 2 * MB })
  const long = await openFetch(scene.appUrl, scene.body)
  scene.child.kill('SIGTERM')
  await scene.logged('stopping after')
  scene.child.kill('SIGTERM')
  assert.equal((await scene.ended).code, 143)
  assert.notEqual(await endOf(long), 'whole')
  await eventually(async () => (await processesAbout(scene.root)).length === 0, 5_000, 'nothing is left')
})

test('when the process that has the workers is killed, they end as well', async (t) => {
  const scene = await startWorkers(t, { workers: '2' })
  const workers = scene.workers()
  scene.child.kill('SIGKILL')
  await eventually(async () => workers.every((pid) => !isAlive(pid)), 10_000, 'the workers end')
})

test('what is wrong is said once, with the exit code of a single process', async (t) => {
  const root = await temporaryFolder(t)
  const first = await startCommand(t, ['--root', root, '--workers', '1'])
  const cases: Array<[string[], number, RegExp]> = [
    [['--root', root, '--port', String(first.port)], 1, /^fastify-git-http: port \d+ is in use; choose another one with --port\n$/],
    [['--root', join(root, 'none'), '--port', '0'], 1, /^fastify-git-http: --root: .*none does not exist\n$/],
    [['--root', root, '--port', '0', '--workers', '0'], 2, /--workers must be auto or a number from 1 to 256, not '0'/],
    [['--root', root, '--port', '0', '--metrics-host', 'localhost'], 2, /--metrics-host needs --metrics-port/]
  ]
  for (const [args, code, said] of cases) {
    const result = await runCommand(t, ['--workers', '2', ...args])
    assert.equal(result.code, code, result.stderr)
    assert.match(result.stderr, said)
  }
})
