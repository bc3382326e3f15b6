import assert from 'node:assert/strict'
import { type BigIntStats } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { takeApart } from '../fixtures/fetch-answer.ts'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { git } from '../fixtures/git.ts'
import { servePacks, smallRepository, tipOf, type PackScene } from '../fixtures/pack-scene.ts'
import { postFetch } from '../fixtures/post-fetch.ts'
import { history, makeRepository } from '../fixtures/repository.ts'
import { intercept } from '../fixtures/simulated.ts'

/** Fetches until the answer is kept; answers the request. */
async function keep ({ served, appUrl }: PackScene): Promise<Buffer> {
  const body = fetchV2({ wants: [await tipOf(served)] })
  for (const expected of ['miss', 'miss', 'hit']) assert.equal((await postFetch(appUrl, body)).cache, expected)
  return body
}

async function assertGone (appUrl: string, body: Buffer): Promise<void> {
  const { lines, pack } = takeApart((await postFetch(appUrl, body)).body)
  assert.match(lines.join(), /ERR upload-pack: not our ref/)
  assert.equal(pack.length, 0)
}

async function recreate (scene: PackScene): Promise<void> {
  await rm(scene.served, { recursive: true })
  await makeRepository(scene.root, 'app.git', { commits: 0 })
  await git(['fast-import', '--quiet'], { cwd: scene.served, input: history('refs/heads/main', 2, 'another') })
}

test('nothing of a repository that was deleted comes out of the one that was created in its place', async (t) => {
  const scene = await servePacks(t, smallRepository)
  const body = await keep(scene)
  await rm(scene.served, { recursive: true })
  assert.equal((await postFetch(scene.appUrl, body)).status, 404)
  await makeRepository(scene.root, 'app.git', { commits: 3 })
  await git(['update-ref', '-d', 'refs/heads/main'], { cwd: scene.served })
  await assertGone(scene.appUrl, body)
})

test('nor when the file system gives it the same inode again', async (t) => {
  const scene = await servePacks(t, smallRepository)
  const body = await keep(scene)
  const { ino } = await stat(scene.served)
  // Most give away what became free at once; where one does not, this is the test above once more.
  for (let i = 0; i < 20; i++) {
    await recreate(scene)
    if ((await stat(scene.served)).ino === ino) break
  }
  await assertGone(scene.appUrl, body)
})

/** From now on the repository's folders have the inodes that they have now, whatever becomes of them, and `more`. */
async function keepInodes (t: TestContext, scene: PackScene, more: Partial<BigIntStats> = {}): Promise<void> {
  const places = ['', 'objects'].map((name) => join(scene.served, name)).map((path) => path.replace(/\/$/, ''))
  const inodes = new Map<string, bigint>()
  for (const path of places) inodes.set(path, (await stat(path, { bigint: true })).ino)
  intercept(t, 'statSync', (original, path) => {
    const stats = original() as BigIntStats | undefined
    const ino = inodes.get(path)
    return stats === undefined || ino === undefined ? stats : Object.assign(stats, { ino, ...more })
  })
}

test('nor when all inodes are the same, and only the time of its birth is another', async (t) => {
  const scene = await servePacks(t, smallRepository)
  await keepInodes(t, scene)
  const body = await keep(scene)
  await recreate(scene)
  await assertGone(scene.appUrl, body)
})

test('nor where the file system does not know when a folder was made', async (t) => {
  const scene = await servePacks(t, smallRepository)
  await keepInodes(t, scene, { birthtimeNs: 0n, birthtimeMs: 0n })
  const body = fetchV2({ wants: [await tipOf(scene.served)] })
  for (let i = 0; i < 3; i++) assert.ok((await postFetch(scene.appUrl, body)).body.length > 1000)
  await recreate(scene)
  await assertGone(scene.appUrl, body)
})

test('a repository that is replaced by another with a rename is another one, and so are its objects', async (t) => {
  const scene = await servePacks(t, smallRepository)
  const body = await keep(scene)
  const other = await makeRepository(scene.root, 'other.git', { commits: 0 })
  await rename(join(scene.served, 'objects'), join(scene.root, 'objects-before'))
  await rename(join(other, 'objects'), join(scene.served, 'objects'))
  await git(['pack-refs', '--all'], { cwd: scene.served })
  await git(['fast-import', '--quiet', '--force'], { cwd: scene.served, input: history('refs/heads/main', 2, 'another') })
  await assertGone(scene.appUrl, body)
})
