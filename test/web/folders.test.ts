import assert from 'node:assert/strict'
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { findRepositories } from '../../lib/repository/find.ts'
import { Folders } from '../../lib/web/folders.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { intercept, stopClocks } from '../fixtures/simulated.ts'

test('lists what the command finds, with the directories that are served', async (t) => {
  const root = await temporaryFolder(t)
  const outside = await makeRepository(await temporaryFolder(t), 'outside.git')
  await makeRepository(root, 'B.git', { commits: 0 })
  await makeRepository(root, 'a', { commits: 0 })
  await makeRepository(root, 'team/deep/é #1.git', { commits: 0 })
  const copy = await makeWorkingCopy(root, 'team/copy')
  await git(['worktree', 'add', '--quiet', '--detach', join(root, 'worktree')], { cwd: copy })
  await makeRepository(root, '.hidden/x.git', { commits: 0 })
  await makeRepository(root, '-dash.git', { commits: 0 })
  await mkdir(join(root, 'stray'))
  await writeFile(join(root, 'stray', '.git'), `gitdir: ${outside}\n`)
  await symlink(outside, join(root, 'link.git'))
  const { entries, complete } = await new Folders(root).current()
  assert.equal(complete, true)
  assert.deepEqual(entries.map(({ name }) => name), ['a', 'B.git', 'team/copy', 'team/deep/é #1.git', 'worktree'])
  assert.deepEqual(entries.map(({ name }) => name).sort(), (await findRepositories(root)).names.sort())
  assert.deepEqual(entries.map(({ directory }) => directory),
    [join(root, 'a'), join(root, 'B.git'), join(copy, '.git'), join(root, 'team/deep/é #1.git'), join(copy, '.git/worktrees/worktree')])
})

test('what is made, moved and removed shows after two seconds, and before that nothing is looked at', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'team/a.git', { commits: 0 })
  await mkdir(join(root, 'later'))
  const folders = new Folders(root)
  const names = async (): Promise<string[]> => (await folders.current()).entries.map(({ name }) => name)
  const clock = stopClocks(t)
  assert.deepEqual(await names(), ['team/a.git'])
  await makeRepository(root, 'team/b.git', { commits: 0 })
  await git(['init', '--quiet', join(root, 'later')])
  assert.deepEqual(await names(), ['team/a.git'])
  clock.pass(2_001)
  assert.deepEqual(await names(), ['later', 'team/a.git', 'team/b.git'])
  await rename(join(root, 'team'), join(root, 'crew'))
  await rm(join(root, 'later'), { recursive: true })
  await mkdir(join(root, 'later'))
  clock.pass(2_001)
  assert.deepEqual(await names(), ['crew/a.git', 'crew/b.git'])
})

test('of folders that have not changed, none is read again', async (t) => {
  const root = await temporaryFolder(t)
  for (const name of ['a.git', 'b.git', 'team/c.git']) await makeRepository(root, name, { commits: 0 })
  const folders = new Folders(root)
  const clock = stopClocks(t)
  let read = 0
  intercept(t, 'opendirSync', (original) => { read++; return original() })
  clock.pass(10_000)
  await folders.current()
  assert.equal(read, 5)
  clock.pass(10_000)
  assert.equal((await folders.current()).entries.length, 3)
  assert.equal(read, 5)
  await makeRepository(root, 'team/d.git', { commits: 0 })
  clock.pass(10_000)
  assert.equal((await folders.current()).entries.length, 4)
  assert.equal(read, 7, 'the folder that changed, and the new repository')
})

test('a folder that is missing has no repositories', async (t) => {
  assert.deepEqual(await new Folders(join(await temporaryFolder(t), 'missing')).current(), { entries: [], complete: true })
})
