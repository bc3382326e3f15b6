import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { takeApart } from '../fixtures/fetch-answer.ts'
import { fetchV0, fetchV2 } from '../fixtures/fetch-request.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { servePacks, smallRepository, tipOf } from '../fixtures/pack-scene.ts'
import { postFetch } from '../fixtures/post-fetch.ts'
import { eventually } from '../fixtures/processes.ts'
import { history } from '../fixtures/repository.ts'
import { gitShim } from '../fixtures/shims.ts'
import { assertAsGit, bodyOf, keep } from './as-git.ts'

test('filters that are turned off are refused at once', async (t) => {
  const scene = await servePacks(t, smallRepository)
  await git(['config', 'uploadpack.allowFilter', 'true'], { cwd: scene.served })
  for (const protocol of [0, 2] as const) {
    const body = bodyOf({ wants: [await tipOf(scene.served)], lines: ['filter blob:none'], capabilities: protocol === 0 ? ['filter'] : [] }, protocol)
    await git(['config', 'uploadpack.allowFilter', 'true'], { cwd: scene.served })
    await keep(scene, body, protocol)
    await git(['config', 'uploadpack.allowFilter', 'false'], { cwd: scene.served })
    await assertAsGit(scene, body, protocol)
  }
})

test('a ref that is hidden cannot be wanted in v0 any more, nor one that went', async (t) => {
  const scene = await servePacks(t, smallRepository)
  await git(['fast-import', '--quiet'], { cwd: scene.served, input: history('refs/heads/topic', 2) })
  const body = fetchV0({ wants: [await tipOf(scene.served, 'refs/heads/topic')] })
  await keep(scene, body, 0)
  await git(['config', 'uploadpack.hideRefs', 'refs/heads/topic'], { cwd: scene.served })
  assert.match((await assertAsGit(scene, body, 0)).join(), /ERR upload-pack: not our ref/)
  await git(['config', '--unset', 'uploadpack.hideRefs'], { cwd: scene.served })
  await keep(scene, fetchV0({ wants: [await tipOf(scene.served, 'refs/heads/topic')], lines: ['deepen 1'], capabilities: ['shallow'] }), 0)
  await git(['update-ref', '-d', 'refs/heads/topic'], { cwd: scene.served })
  assert.match((await assertAsGit(scene, body, 0)).join(), /ERR upload-pack: not our ref/)
})

test('the permission to want any object in v0 can be taken back', async (t) => {
  const scene = await servePacks(t, smallRepository)
  await git(['config', 'uploadpack.allowAnySHA1InWant', 'true'], { cwd: scene.served })
  // Without a word git permits what its refs reach (upload-pack.c, check_non_tip), so it is one that they do not.
  const lost = await git(['commit-tree', '-m', 'lost', 'main^{tree}'], { cwd: scene.served })
  const body = fetchV0({ wants: [lost] })
  for (let i = 0; i < 3; i++) assert.ok(takeApart((await postFetch(scene.appUrl, body, { protocol: 0 })).body).pack.length > 0)
  await git(['config', 'uploadpack.allowAnySHA1InWant', 'false'], { cwd: scene.served })
  assert.match((await assertAsGit(scene, body, 0)).join(), /ERR upload-pack: not our ref/)
})

test('the tip of a hidden ref that may be wanted in v0 is refused once the ref went', async (t) => {
  const scene = await servePacks(t, smallRepository)
  const at = { cwd: scene.served }
  await git(['fast-import', '--quiet'], { ...at, input: history('refs/hidden/topic', 2) })
  for (const [key, value] of [['transfer.hideRefs', 'refs/hidden'], ['uploadpack.allowTipSHA1InWant', 'true']]) await git(['config', key as string, value as string], at)
  const body = fetchV0({ wants: [await tipOf(scene.served, 'refs/hidden/topic')] })
  for (let i = 0; i < 3; i++) assert.ok(takeApart((await postFetch(scene.appUrl, body, { protocol: 0 })).body).pack.length > 0)
  await git(['update-ref', '-d', 'refs/hidden/topic'], at)
  assert.match((await assertAsGit(scene, body, 0)).join(), /ERR upload-pack: not our ref/)
})

for (const protocol of [0, 2] as const) {
  test(`v${protocol}: a tag that is added between two fetches with include-tag is there the second time, one that went is not`, async (t) => {
    const scene = await servePacks(t, smallRepository)
    const body = bodyOf({ wants: [await tipOf(scene.served)], capabilities: ['include-tag'] }, protocol)
    const before = takeApart((await keep(scene, body, protocol)).body).pack
    await git(['tag', '-a', '-m', 'new', 'new', 'main~1'], { cwd: scene.served })
    const after = takeApart((await postFetch(scene.appUrl, body, { protocol })).body).pack
    assert.equal(after.readUInt32BE(8), before.readUInt32BE(8) + 1)
    await assertAsGit(scene, body, protocol)
    await git(['tag', '-d', 'new'], { cwd: scene.served })
    assert.equal(takeApart((await postFetch(scene.appUrl, body, { protocol })).body).pack.readUInt32BE(8), before.readUInt32BE(8))
  })
}

test('a change while git starts: what git saw is for those who waited, and is not kept as the answer to what was before', async (t) => {
  const folder = await temporaryFolder(t)
  const path = await gitShim(folder, 'upload-pack', `if [ -e ${folder}/armed ]; then touch ${folder}/begun; while [ ! -e ${folder}/go ]; do sleep 0.02; done; fi`)
  const scene = await servePacks(t, smallRepository, { git: { path } })
  const wants = [await tipOf(scene.served)]
  const body = fetchV2({ wants, capabilities: ['include-tag'] })
  // From here on the refs are known without asking git.
  const { pack: before } = takeApart((await postFetch(scene.appUrl, body)).body)
  await postFetch(scene.appUrl, fetchV2({ wants, capabilities: ['include-tag'], lines: ['deepen 1'] }))
  await writeFile(join(folder, 'armed'), '')
  const asked = [postFetch(scene.appUrl, body), postFetch(scene.appUrl, body)]
  await eventually(async () => (await readdir(folder)).includes('begun') && scene.app.gitHttp.active === 2, 5_000, 'git starts for both')
  await git(['tag', '-a', '-m', 'new', 'new', 'main~1'], { cwd: scene.served })
  await writeFile(join(folder, 'go'), '')
  for (const { body } of await Promise.all(asked)) assert.equal(takeApart(body).pack.readUInt32BE(8), before.readUInt32BE(8) + 1)
  await git(['tag', '-d', 'new'], { cwd: scene.served })
  const after = await postFetch(scene.appUrl, body)
  assert.equal(takeApart(after.body).pack.readUInt32BE(8), before.readUInt32BE(8))
})
