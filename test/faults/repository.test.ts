/** What happens to a repository, or to its disk, while somebody uses it. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { statfsSync } from 'node:fs'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { GitHttpOptions } from '../../lib/index.ts'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { endOf, openFetch, readSome } from '../fixtures/post-fetch.ts'
import { descriptors, eventually, processesAbout, zombies } from '../fixtures/processes.ts'
import { getRaw } from '../fixtures/raw.ts'
import { commitFile, commitRandom, makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServer, type TestServer } from '../fixtures/server.ts'
import { gitShim } from '../fixtures/shims.ts'
import { mountSmall } from '../packs/helpers.ts'

const MB = 1024 * 1024

interface Scene extends TestServer { root: string, served: string, work: string, folder: string }

async function scene (t: TestContext, root: string, options: GitHttpOptions = {}): Promise<Scene> {
  const folder = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git')
  const work = await makeWorkingCopy(folder, 'work')
  return { root, served, work, folder, ...await startServer(t, { root, publicWrite: true, ...options }) }
}

/** No process, no zombie, no operation, no temporary file, no lock; refs and objects are sound. */
async function assertNothingLeft ({ root, served, app }: Scene): Promise<void> {
  await eventually(async () => (await processesAbout(root)).length === 0 && app.gitHttp.active === 0, 5_000, 'everything ends')
  assert.deepEqual(await zombies(), [])
  assert.deepEqual((await descriptors()).filter((target) => target.startsWith(root)), [])
  const files = await readdir(served, { recursive: true })
  assert.deepEqual(files.filter((name) => /tmp_|incoming-|\.lock$/.test(name)), [])
  await git(['fsck', '--full'], { cwd: served })
}

test('the disk is full during a push: the pusher reads it, refs stay, the space comes back, and a smaller push succeeds', async (t) => {
  const mounted = mountSmall(t, 6 * MB)
  const root = mounted ?? await temporaryFolder(t)
  // Where no file system may be mounted, files that cannot grow have to do.
  const limited = mounted === null ? { git: { path: await gitShim(await temporaryFolder(t), 'receive-pack', 'trap "" XFSZ; ulimit -f 4000') } } : {}
  const used = await scene(t, root, limited)
  const free = (): number => { const { bfree, bsize } = statfsSync(root); return bfree * bsize }
  const before = free()
  await commitRandom(used.work, 'big.bin', 12 * MB)
  const { code, stderr } = await tryGit(['push', `${used.url}/app.git`, 'main:refs/heads/big'], { cwd: used.work })
  assert.equal(code, 1, stderr)
  assert.match(stderr, /unpack/)
  assert.doesNotMatch(stderr, new RegExp(root))
  assert.equal(await git(['for-each-ref', '--format=%(refname)'], { cwd: used.served }), 'refs/heads/main')
  await assertNothingLeft(used)
  if (mounted !== null) assert.ok(before - free() < 65_536, `${before} bytes were free, now ${free()}`)
  await git(['push', '--quiet', `${used.url}/app.git`, 'main~1:refs/heads/small'], { cwd: used.work })
  await assertNothingLeft(used)
})

test('a file system that can only be read: clones work, pushes are refused and say so', async (t) => {
  const root = mountSmall(t, 6 * MB)
  // Without the right to mount there is no such file system: root may write everywhere.
  if (root === null) return
  const used = await scene(t, root)
  execFileSync('mount', ['-o', 'remount,ro', root])
  await git(['clone', '--quiet', `${used.url}/app.git`, join(used.folder, 'clone')])
  const { code, stderr } = await tryGit(['push', `${used.url}/app.git`, 'main:refs/heads/new'], { cwd: used.work })
  assert.equal(code, 1, stderr)
  assert.match(stderr, /unpack failed|unable to create temporary object directory/)
  assert.doesNotMatch(stderr, new RegExp(root))
  await assertNothingLeft(used)
})

test('a repository that is deleted during a clone: the clone is whole or fails, and the next request gets 404', async (t) => {
  for (const packs of [false, undefined] as const) {
    const used = await scene(t, await temporaryFolder(t), packs === false ? { cache: { packs } } : { cache: { packs: { directory: join(await temporaryFolder(t), 'packs') } } })
    const id = await commitRandom(used.work, 'big.bin', 24 * MB)
    await git(['push', '--quiet', used.served, 'main:refs/heads/big'], { cwd: used.work })
    const response = await openFetch(`${used.url}/app.git`, fetchV2({ wants: [id] }))
    await readSome(response, MB)
    await rm(used.served, { recursive: true })
    assert.match(await endOf(response), /^(?:whole|ECONNRESET|aborted)$/)
    assert.equal((await getRaw(used.port, '/app.git/info/refs?service=git-upload-pack')).status, 404)
    await eventually(async () => (await processesAbout(used.served)).length === 0 && used.app.gitHttp.active === 0, 5_000, 'everything ends')
  }
})

test('two pushes to one ref at the same time: one wins, the other one is told', async (t) => {
  const used = await scene(t, await temporaryFolder(t))
  const works = await Promise.all(['a', 'b'].map(async (name) => await makeWorkingCopy(used.folder, name)))
  const ids = await Promise.all(works.map(async (work) => await commitRandom(work, 'file', 100_000)))
  const results = await Promise.all(works.map(async (cwd) => await tryGit(['push', `${used.url}/app.git`, 'main:refs/heads/one'], { cwd })))
  assert.deepEqual(results.map(({ code }) => code).sort(), [0, 1], results.map(({ stderr }) => stderr).join('\n'))
  const winner = results.findIndex(({ code }) => code === 0)
  assert.equal(await git(['rev-parse', 'refs/heads/one'], { cwd: used.served }), ids[winner])
  assert.match(results[1 - winner]?.stderr ?? '', /\[(?:remote )?rejected\]/)
  await assertNothingLeft(used)
})

test('fifty pushes to different refs at the same time: all succeed', async (t) => {
  const used = await scene(t, await temporaryFolder(t))
  const ids = new Map<string, string>()
  for (let i = 0; i < 50; i++) ids.set(`refs/heads/b${i}`, await commitFile(used.work, 'n', String(i)))
  const results = await Promise.all([...ids].map(async ([ref, id]) => await tryGit(['push', '--quiet', `${used.url}/app.git`, `${id}:${ref}`], { cwd: used.work })))
  for (const { code, stderr } of results) assert.equal(code, 0, stderr)
  const refs = (await git(['for-each-ref', '--format=%(refname) %(objectname)', 'refs/heads/b*'], { cwd: used.served })).split('\n')
  assert.deepEqual(refs.sort(), [...ids].map(([ref, id]) => `${ref} ${id}`).sort())
  await assertNothingLeft(used)
})

test('a stale lock: the ref is refused, nothing hangs, the lock stays as it was', async (t) => {
  const used = await scene(t, await temporaryFolder(t))
  const lock = join(used.served, 'refs/heads/locked.lock')
  await writeFile(lock, 'mine')
  const { code, stderr } = await tryGit(['push', `${used.url}/app.git`, 'main:refs/heads/locked', 'main:refs/heads/free'], { cwd: used.work })
  assert.equal(code, 1)
  assert.match(stderr, /! \[remote rejected\] main -> locked/)
  assert.match(stderr, /\[new branch\] +main -> free/)
  assert.equal(await readFile(lock, 'utf8'), 'mine')
  await rm(lock)
  await assertNothingLeft(used)
})
