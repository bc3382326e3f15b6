import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { takeApart } from '../fixtures/fetch-answer.ts'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { git } from '../fixtures/git.ts'
import { servePacks, smallRepository, tipOf } from '../fixtures/pack-scene.ts'
import { postFetch } from '../fixtures/post-fetch.ts'
import { history, makeRepository } from '../fixtures/repository.ts'
import { assertAsGit, bodyOf, keep } from './as-git.ts'

test('"not our ref" is delivered, not kept, and right again once the object is there', async (t) => {
  const scene = await servePacks(t, smallRepository)
  const elsewhere = await makeRepository(scene.root, 'elsewhere.git', { commits: 0 })
  await git(['fast-import', '--quiet'], { cwd: elsewhere, input: history('refs/heads/later', 3, 'later') })
  const body = fetchV2({ wants: [await tipOf(elsewhere, 'refs/heads/later')] })
  for (let i = 0; i < 4; i++) {
    const reply = await postFetch(scene.appUrl, body)
    assert.match(takeApart(reply.body).lines.join(), /^ERR upload-pack: not our ref [0-9a-f]{40}$/)
    assert.equal(reply.cache, 'miss')
  }
  const replies = await Promise.all(Array.from({ length: 4 }, async () => await postFetch(scene.appUrl, body)))
  for (const reply of replies) assert.match(reply.body.toString(), /ERR upload-pack: not our ref/)
  await git(['fetch', '--quiet', elsewhere, 'refs/heads/later'], { cwd: scene.served })
  assert.ok(takeApart((await postFetch(scene.appUrl, body)).body).pack.length > 0)
})

test('a shallow repository that is unshallowed sends all of its history', async (t) => {
  const scene = await servePacks(t, async (root) => {
    const upstream = await makeRepository(root, 'upstream.git', { commits: 20 })
    await git(['clone', '--quiet', '--bare', '--depth=3', `file://${upstream}`, join(root, 'app.git')])
    return join(root, 'app.git')
  })
  const id = await tipOf(scene.served)
  for (const protocol of [0, 2] as const) {
    if (protocol === 2) {
      await rm(join(scene.served, 'shallow'), { force: true })
      await writeFile(join(scene.served, 'shallow'), `${await git(['rev-parse', 'main~2'], { cwd: scene.served })}\n`)
    }
    const body = bodyOf({ wants: [id], capabilities: protocol === 0 ? ['shallow'] : [] }, protocol)
    for (let i = 0; i < 3; i++) await assertAsGit(scene, body, protocol)
    await git(['fetch', '--quiet', ...(protocol === 0 ? ['--unshallow'] : ['--depth=2147483647']), `file://${scene.root}/upstream.git`, 'main'], { cwd: scene.served })
    await assertAsGit(scene, body, protocol)
    const { pack } = takeApart((await postFetch(scene.appUrl, body, { protocol })).body)
    assert.equal(pack.readUInt32BE(8), 60)
  }
})

test('grafts give commits other parents: as long as there are any, git is asked', async (t) => {
  const scene = await servePacks(t, smallRepository)
  const id = await tipOf(scene.served)
  const body = fetchV2({ wants: [id] })
  await keep(scene, body)
  await mkdir(join(scene.served, 'info'), { recursive: true })
  await writeFile(join(scene.served, 'info/grafts'), `${id} ${await git(['rev-parse', 'main~10'], { cwd: scene.served })}\n`)
  assert.equal((await postFetch(scene.appUrl, body)).cache, 'bypass')
  await assertAsGit(scene, body)
  await rm(join(scene.served, 'info/grafts'))
  await assertAsGit(scene, body)
})

test('what is borrowed from another repository counts as long as it is there', async (t) => {
  const scene = await servePacks(t, async (root) => {
    await makeRepository(root, 'lender.git', { commits: 10 })
    await git(['clone', '--quiet', '--bare', '--shared', join(root, 'lender.git'), join(root, 'app.git')])
    return join(root, 'app.git')
  })
  const at = { cwd: join(scene.root, 'lender.git') }
  await keep(scene, fetchV2({ wants: [await tipOf(scene.served)] }))
  // An object that only the lender has, which arrives after it was asked for.
  await git(['tag', '-a', '-m', 'x', 'probe', 'main'], at)
  const probe = await tipOf(at.cwd, 'refs/tags/probe')
  const alternates = join(scene.served, 'objects/info/alternates')
  const body = fetchV2({ wants: [probe], haves: [await tipOf(scene.served)] })
  for (let i = 0; i < 3; i++) await assertAsGit(scene, body)
  await git(['repack', '-adq'], { cwd: scene.served })
  await rm(alternates)
  await git(['fsck'], { cwd: scene.served })
  const fresh = fetchV2({ wants: [probe] })
  assert.match((await assertAsGit(scene, fresh)).join(), /not our ref/)
  await writeFile(alternates, `${join(at.cwd, 'objects')}\n`)
  await assertAsGit(scene, fresh)
})

test('a have that the server gets to know later is common from then on', async (t) => {
  const scene = await servePacks(t, smallRepository)
  const client = await makeRepository(scene.root, 'client.git', { commits: 0 })
  await git(['fetch', '--quiet', scene.served, 'main:main'], { cwd: client })
  const have = await git(['commit-tree', '-m', 'own', '-p', 'main', 'main^{tree}'], { cwd: client })
  await git(['update-ref', 'refs/heads/own', have], { cwd: client })
  await git(['fast-import', '--quiet'], { cwd: scene.served, input: history('refs/heads/topic', 2) })
  for (const done of [false, true]) {
    const body = fetchV2({ wants: [await tipOf(scene.served, 'refs/heads/topic')], haves: [have], done })
    for (let i = 0; i < 3; i++) await assertAsGit(scene, body)
    await git(['fetch', '--quiet', client, `own:refs/heads/pushed-${done ? 'with' : 'without'}`], { cwd: scene.served })
    await assertAsGit(scene, body)
    await git(['update-ref', '-d', `refs/heads/pushed-${done ? 'with' : 'without'}`], { cwd: scene.served })
    await git(['gc', '--quiet', '--prune=now'], { cwd: scene.served })
    await git(['prune', '--expire=now'], { cwd: scene.served })
    await assertAsGit(scene, body)
  }
})
