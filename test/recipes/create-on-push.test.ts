import assert from 'node:assert/strict'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { GitHttpOptions } from '../../lib/index.ts'
import { git } from '../fixtures/git.ts'
import { servePushes } from '../fixtures/push-scene.ts'

// README: The first push creates the repository
const options: Pick<GitHttpOptions, 'authorize' | 'createOnPush'> = {
  // Everybody below their own name, which is known before anything is created.
  authorize: ({ access, repository, user }) => access === 'read' || (user !== null && repository.startsWith(`${user}/`)),
  createOnPush: (path) => /^[a-z]+\/[\w-]+\.git$/.test(path)
}

test('recipe: the first push creates the repository', async (t) => {
  const scene = await servePushes(t, { ...options, publicWrite: false })
  const as = (name: string): string => `${scene.urlAs('alice', 'secret')}/${name}`
  assert.equal((await scene.push([as('alice/new.git'), 'main'])).code, 0)
  assert.equal(await git(['rev-parse', 'main'], { cwd: join(scene.root, 'alice/new.git') }), scene.id)
  assert.match((await scene.push([as('bob/new.git'), 'main'])).stderr, /403/)
  assert.match((await scene.push([as('alice/too/deep.git'), 'main'])).stderr, /not found|404/)
  await assert.rejects(access(join(scene.root, 'bob')))
})
