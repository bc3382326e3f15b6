import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { servePushes } from '../fixtures/push-scene.ts'

/** The ref that HEAD names, in `repository`. */
const head = async (repository: string): Promise<string> => await git(['symbolic-ref', 'HEAD'], { cwd: repository })

// What is pushed in one go, and the HEAD of a repository that this creates.
const FIRST_PUSHES: Array<{ refs: string[], head: string }> = [
  { refs: ['main:refs/heads/trunk'], head: 'refs/heads/trunk' },
  { refs: ['main:refs/heads/topic', 'main:refs/heads/zoo'], head: 'refs/heads/topic' },
  { refs: ['main:refs/heads/a', 'main:refs/heads/main'], head: 'refs/heads/main' },
  { refs: ['main:refs/heads/a', 'main:refs/heads/master'], head: 'refs/heads/master' },
  // The server's own default, which git-init(1) takes from its config.
  { refs: ['main:refs/heads/main', 'main:refs/heads/hall'], head: 'refs/heads/hall' }
]

for (const { refs, head: expected } of FIRST_PUSHES) {
  test(`HEAD of a repository that a push of ${refs.join(' and ')} creates is ${expected}, and its clone has files`, async (t) => {
    const scene = await servePushes(t, { createOnPush: true, git: { config: { 'init.defaultBranch': 'hall' } } })
    const url = `${scene.url}/new.git`
    assert.equal((await scene.push([url, ...refs])).code, 0)
    assert.equal(await head(join(scene.root, 'new.git')), expected)
    const copy = join(await temporaryFolder(t), 'copy')
    assert.equal((await tryGit(['clone', '--quiet', url, copy])).code, 0)
    assert.equal(await git(['rev-parse', 'HEAD'], { cwd: copy }), scene.id)
  })
}

test('HEAD stays where a push brings tags only, and follows the first branch after it', async (t) => {
  const scene = await servePushes(t, { createOnPush: true })
  const repository = join(scene.root, 'new.git')
  const url = `${scene.url}/new.git`
  assert.equal((await scene.push([url, 'main:refs/tags/v1'])).code, 0)
  const before = await head(repository)
  assert.equal((await scene.push([url, 'main:refs/heads/topic'])).code, 0)
  assert.notEqual(await head(repository), before)
  assert.equal(await head(repository), 'refs/heads/topic')
})

test('HEAD of a repository that has branches, or that pushes do not create, stays', async (t) => {
  const scene = await servePushes(t, { createOnPush: true })
  const repository = join(scene.root, 'new.git')
  const url = `${scene.url}/new.git`
  await scene.push([url, 'main:refs/heads/topic'])
  await git(['pack-refs', '--all'], { cwd: repository })
  await rm(join(repository, 'refs/heads/topic'), { force: true })
  assert.equal((await scene.push([url, 'main:refs/heads/other'])).code, 0)
  assert.equal(await head(repository), 'refs/heads/topic')

  const plain = await servePushes(t)
  const before = await head(plain.served)
  assert.equal((await plain.push([plain.appUrl, 'main:refs/heads/topic'])).code, 0)
  assert.equal(await head(plain.served), before)
})

test('HEAD stays where onPush refuses the push', async (t) => {
  const scene = await servePushes(t, { createOnPush: true, hooks: { onPush: ({ rejectAll }) => rejectAll('no') } })
  const before = await head(scene.served)
  assert.notEqual((await scene.push([scene.appUrl, 'main:refs/heads/topic'])).code, 0)
  assert.equal(await head(scene.served), before)
})
