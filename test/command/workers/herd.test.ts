import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { git, tryGit } from '../../fixtures/git.ts'
import { endOf, openFetch, postFetch } from '../../fixtures/post-fetch.ts'
import { eventually } from '../../fixtures/processes.ts'
import { tipOf } from '../../fixtures/pack-scene.ts'
import { MB, startWorkers } from './scene.ts'

test('64 identical clones at once by four workers cost one pack-objects, and each passes fsck', async (t) => {
  const scene = await startWorkers(t, { workers: '4' })
  const tip = await tipOf(scene.served)
  await Promise.all(Array.from({ length: 64 }, async (_, i) => {
    const into = join(scene.folder, `clone-${i}`)
    await git(['clone', '--quiet', '--bare', scene.appUrl, into])
    await git(['fsck', '--strict'], { cwd: into })
    assert.equal(await git(['rev-parse', 'refs/heads/main'], { cwd: into }), tip)
  }))
  assert.equal(await scene.started('pack-objects'), 1)
  const told = (): Array<Record<string, unknown>> => scene.lines().filter(({ cache }) => typeof cache === 'string')
  await eventually(async () => told().length === 64, 5_000, 'each is told')
  assert.equal(new Set(told().map(({ worker }) => worker)).size, 4, 'all workers had something to do')
  assert.equal(told().filter(({ cache }) => cache === 'miss').length, 1)
})

test('the worker that makes a pack is killed: its clients and those who read from it fail, the next ones are right', async (t) => {
  const scene = await startWorkers(t, { workers: '4', stopAfter: 2 * MB })
  const fetches = await Promise.all(Array.from({ length: 24 }, async () => await openFetch(scene.appUrl, scene.body)))
  const ends = fetches.map(endOf)
  await eventually(async () => await scene.stopped() === 1, 10_000, 'one git is in the middle of its answer')
  assert.equal(await scene.started('pack-objects'), 1)
  // The one whose helper started the one git.
  const before = scene.workers()
  const leader = await makerOf(scene.served, before)
  process.kill(leader, 'SIGKILL')
  await scene.logged('a worker ended; starting another')
  for (const end of await Promise.all(ends)) assert.notEqual(end, 'whole')
  await scene.open()
  const into = join(scene.folder, 'clone')
  // The helper of the one that was killed ends what it started before anything else is asked of the machine.
  assert.equal((await tryGit(['clone', '--quiet', '--bare', scene.appUrl, into])).code, 0)
  await git(['fsck', '--strict'], { cwd: into })
  await Promise.all(Array.from({ length: 12 }, async () => assert.ok((await postFetch(scene.appUrl, scene.body)).body.length > 6 * MB)))
  // git asks with other capabilities, which is another question.
  assert.equal(await scene.started('pack-objects'), 3)
})

test('the worker that makes a pack is killed before the first byte: another one makes it for the clients of the others', async (t) => {
  const scene = await startWorkers(t, { workers: '4', stopAfter: 0 })
  const asked = Array.from({ length: 16 }, async () => await openFetch(scene.appUrl, scene.body).then(endOf, () => 'refused'))
  await eventually(async () => await scene.stopped() === 1, 10_000, 'one git has said nothing')
  process.kill(await makerOf(scene.served, scene.workers()), 'SIGKILL')
  await eventually(async () => await scene.stopped() === 2, 10_000, 'another git was started')
  await scene.open()
  const ends = await Promise.all(asked)
  assert.ok(ends.filter((end) => end === 'whole').length > 0, ends.join())
  assert.ok(ends.every((end) => end === 'whole' || end === 'refused'), ends.join())
  // The others follow the one that took its place.
  assert.equal(await scene.started('pack-objects'), 2)
})

/** Whose helper's descendants are about this repository. */
async function makerOf (served: string, workers: number[]): Promise<number> {
  const { readdir, readFile } = await import('node:fs/promises')
  const parents = new Map<number, number>()
  const about: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '')
    const command = await readFile(`/proc/${name}/cmdline`, 'latin1').catch(() => '')
    parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
    if (command.includes(served) && command.includes('upload-pack')) about.push(Number(name))
  }
  for (let pid of about) for (; pid > 1; pid = parents.get(pid) ?? 0) if (workers.includes(pid)) return pid
  return assert.fail('nobody makes it')
}
