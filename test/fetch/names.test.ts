import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { git } from '../fixtures/git.ts'
import { servePacks, smallRepository, tipOf } from '../fixtures/pack-scene.ts'
import { postFetch } from '../fixtures/post-fetch.ts'
import { assertAsGit, keep } from './as-git.ts'

for (const hidden of [false, true]) {
  test(`a ref that bounds the history (deepen-not) moves${hidden ? ', although it is hidden' : ''}: the answer moves with it`, async (t) => {
    const scene = await servePacks(t, smallRepository)
    const at = { cwd: scene.served }
    await git(['update-ref', 'refs/bounds/one', 'main~10'], at)
    if (hidden) await git(['config', 'transfer.hideRefs', 'refs/bounds'], at)
    const body = fetchV2({ wants: [await tipOf(scene.served)], lines: ['deepen-not refs/bounds/one'] })
    for (let i = 0; i < 3; i++) await assertAsGit(scene, body)
    await git(['update-ref', 'refs/bounds/one', 'main~4'], at)
    await assertAsGit(scene, body)
  })
}

for (const [what, line] of [['a bound (deepen-not)', 'deepen-not ORIG_HEAD'], ['a want-ref', 'want-ref ORIG_HEAD']] as const) {
  test(`${what} may be a pseudo ref, which is not listed`, async (t) => {
    const scene = await servePacks(t, smallRepository)
    await git(['config', 'uploadpack.allowRefInWant', 'true'], { cwd: scene.served })
    const body = fetchV2({ wants: [await tipOf(scene.served, 'main~1')], lines: [line] })
    for (const bound of ['main~10', 'main~4']) {
      await git(['update-ref', 'ORIG_HEAD', bound], { cwd: scene.served })
      for (let i = 0; i < 3; i++) await assertAsGit(scene, body)
    }
  })
}

test('a bound that is a tag or branch, by any of its names, does not keep an answer from being kept', async (t) => {
  const scene = await servePacks(t, smallRepository)
  await git(['tag', 'v1.0', 'main~10'], { cwd: scene.served })
  for (const name of ['v1.0', 'tags/v1.0', 'refs/tags/v1.0']) {
    const uses: Array<string | undefined> = []
    const body = fetchV2({ wants: [await tipOf(scene.served)], lines: [`deepen-not ${name}`] })
    for (let i = 0; i < 3; i++) uses.push((await postFetch(scene.appUrl, body)).cache)
    assert.equal(uses[2], name === 'tags/v1.0' ? 'bypass' : 'hit', name)
  }
})

test('a sparse filter that is named by an expression follows what it names', async (t) => {
  const scene = await servePacks(t, smallRepository)
  const at = { cwd: scene.served }
  await git(['config', 'uploadpack.allowFilter', 'true'], at)
  await git(['config', 'transfer.hideRefs', 'refs/hidden'], at)
  for (const name of ['refs/heads/spec', 'refs/hidden/spec']) {
    const body = fetchV2({ wants: [await tipOf(scene.served)], lines: [`filter sparse:oid=${name}:patterns`] })
    for (const pattern of ['file-1.txt', 'file-2.txt']) {
      await git(['fast-import', '--quiet', '--force'], { ...at, input: `commit ${name}\ncommitter A <a@b> 1700000000 +0000\ndata 1\nx\nM 100644 inline patterns\ndata ${pattern.length + 1}\n${pattern}\n\n` })
      for (let i = 0; i < 3; i++) await assertAsGit(scene, body)
    }
  }
})

test('a want-ref brings what the ref is now', async (t) => {
  const scene = await servePacks(t, smallRepository)
  await git(['config', 'uploadpack.allowRefInWant', 'true'], { cwd: scene.served })
  const body = fetchV2({ wants: [], lines: ['want-ref refs/heads/main'] })
  await keep(scene, body)
  await git(['update-ref', 'refs/heads/main', 'main~5'], { cwd: scene.served })
  assert.match((await assertAsGit(scene, body)).join(), new RegExp(`${await tipOf(scene.served)} refs/heads/main`))
})
