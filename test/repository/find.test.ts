import assert from 'node:assert/strict'
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { findRepositories } from '../../lib/repository/find.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { getRaw } from '../fixtures/raw.ts'
import { makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'

test('finds what the server serves, under the names that it answers to', async (t) => {
  const root = await temporaryFolder(t)
  const outside = await makeRepository(await temporaryFolder(t), 'outside.git')
  await makeRepository(root, 'b.git')
  await makeRepository(root, 'a')
  await makeRepository(root, 'team/deep/er/é #1.git')
  const copy = await makeWorkingCopy(join(root), 'team/copy')
  await git(['worktree', 'add', '--quiet', '--detach', join(root, 'worktree')], { cwd: copy })
  await makeRepository(copy, 'vendor/inside.git')
  await makeRepository(root, '.hidden/x.git')
  await makeRepository(root, 'node_modules/x.git')
  await makeRepository(root, '-dash.git')
  await makeRepository(root, 'dot.')
  await mkdir(join(root, 'half.git'))
  await writeFile(join(root, 'half.git', 'HEAD'), 'ref: refs/heads/main\n')
  await mkdir(join(root, 'stray'))
  await writeFile(join(root, 'stray', '.git'), `gitdir: ${outside}\n`)
  await symlink(outside, join(root, 'link.git'))
  await symlink(root, join(root, 'circle'))
  const borrowing = await makeRepository(root, 'borrowing.git')
  await writeFile(join(borrowing, 'objects', 'info', 'alternates'), `${join(outside, 'objects')}\n`)

  const { names, complete } = await findRepositories(root)
  assert.deepEqual(names, ['a', 'b.git', 'worktree', 'team/copy', 'team/deep/er/é #1.git'])
  assert.equal(complete, true)

  const { port } = await startServer(t, { root })
  for (const name of names) {
    const path = name.split('/').map(encodeURIComponent).join('/')
    assert.equal((await getRaw(port, `/${path}/info/refs?service=git-upload-pack`)).status, 200, name)
  }
  for (const name of ['borrowing.git', 'stray', 'link.git', 'half.git', '-dash.git', 'dot.']) {
    assert.equal((await getRaw(port, `/${name}/info/refs?service=git-upload-pack`)).status, 404, name)
  }
})

test('root itself has the empty name', async (t) => {
  const folder = await temporaryFolder(t)
  assert.deepEqual(await findRepositories(await makeRepository(folder, 'app.git')), { names: [''], complete: true })
  assert.deepEqual(await findRepositories(await makeWorkingCopy(folder, 'copy')), { names: [''], complete: true })
})

test('stops at its limits and says so', async (t) => {
  const root = await temporaryFolder(t)
  const first = await makeRepository(root, '00.git', { commits: 0 })
  for (let i = 1; i < 20; i++) await mkdir(join(root, String(i).padStart(2, '0')))
  await makeRepository(root, 'later.git', { commits: 0 })
  assert.deepEqual(await findRepositories(root, { limit: 10 }), { names: ['00.git'], complete: false })
  assert.deepEqual(await findRepositories(root, { limit: 22 }), { names: ['00.git', 'later.git'], complete: true })
  assert.deepEqual(await findRepositories(root, { limit: 21 }), { names: ['00.git'], complete: false })
  assert.deepEqual(await findRepositories(root, { signal: AbortSignal.abort() }), { names: [], complete: false })

  const deep = join(root, ...Array.from({ length: 17 }, (_, i) => `d${i}`))
  await mkdir(deep, { recursive: true })
  await rename(first, join(deep, 'deep.git'))
  assert.deepEqual(await findRepositories(root), { names: ['later.git'], complete: false })
})

test('a folder that is missing or cannot be read has none', async (t) => {
  assert.deepEqual(await findRepositories(join(await temporaryFolder(t), 'missing')), { names: [], complete: true })
})
