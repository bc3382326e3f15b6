import assert from 'node:assert/strict'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join, relative } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createDirectStarter, type Starter } from '../../lib/git/starter.ts'
import { openGitDirectory, type GitDirectory } from '../../lib/repository/git-directory.ts'
import { createReadConfig, gitBoolean, type ReadConfig, type RepositoryConfig } from '../../lib/repository/settings.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { freezeStats, stopClocks } from '../fixtures/simulated.ts'

const KEY = 'test.value'
const section = (value: string): string => `[test]\n\tvalue = ${value}\n`

interface Scene {
  folder: string
  home: string
  path: string
  repository: GitDirectory
  readConfig: ReadConfig
  /** Called before git is asked; whatever it answers is called after. */
  onGit: () => (() => void) | undefined
  /** How often git was asked. */
  asked: () => number
}

async function makeScene (t: TestContext): Promise<Scene> {
  const folder = await temporaryFolder(t)
  const home = join(folder, 'home')
  mkdirSync(home)
  const path = await makeRepository(folder, 'app.git')
  const repository = await openGitDirectory(path, null) ?? assert.fail()
  const starter = createDirectStarter('git')
  let asked = 0
  const watched: Starter = {
    ...starter,
    capture: async (args, env, limit) => {
      if (args.includes('--list')) asked++
      const after = args.includes('--list') ? scene.onGit() : undefined
      try {
        return await starter.capture(args, env, limit)
      } finally {
        after?.()
      }
    }
  }
  const env = { PATH: process.env['PATH'] ?? '', HOME: home }
  const scene: Scene = { folder, home, path, repository, readConfig: createReadConfig(watched, {}, env), onGit: () => undefined, asked: () => asked }
  return scene
}

test('every place that a setting may come from: the next question has it', async (t) => {
  const { folder, home, path, repository, readConfig, asked } = await makeScene(t)
  const cwd = path
  const set = async (...args: string[]): Promise<unknown> => await git(['config', ...args], { cwd })
  const changes: Array<[string, () => unknown, string | undefined]> = [
    ['nowhere', () => {}, undefined],
    ['the repository', async () => await set(KEY, '1'), '1'],
    ['no longer', async () => await set('--unset', KEY), undefined],
    ['the user', () => writeFileSync(join(home, '.gitconfig'), section('2')), '2'],
    ['the user, otherwise', () => writeFileSync(join(home, '.gitconfig'), section('3')), '3'],
    ['no longer', () => rmSync(join(home, '.gitconfig')), undefined],
    ['the other file of the user', () => { mkdirSync(join(home, '.config/git'), { recursive: true }); writeFileSync(join(home, '.config/git/config'), section('4')) }, '4'],
    ['stronger: an include that is not there', async () => await set('include.path', 'included'), '4'],
    ['until it is', () => writeFileSync(join(path, 'included'), section('5')), '5'],
    ['and includes', () => writeFileSync(join(path, 'included'), `${section('5')}[include]\n\tpath = nested/file\n`), '5'],
    ['another one', () => { mkdirSync(join(path, 'nested')); writeFileSync(join(path, 'nested/file'), section('6')) }, '6'],
    ['a symlink', () => { writeFileSync(join(folder, 'target'), section('7')); rmSync(join(path, 'nested/file')); symlinkSync(join(folder, 'target'), join(path, 'nested/file')) }, '7'],
    ['its target', () => writeFileSync(join(folder, 'target'), section('8')), '8'],
    ['below home', async () => await set('--add', 'include.path', '~/below'), '8'],
    ['when it is there', () => writeFileSync(join(home, 'below'), section('9')), '9'],
    ['an empty file', () => writeFileSync(join(home, 'below'), ''), '8'],
    ['filled again', () => writeFileSync(join(home, 'below'), section('10')), '10'],
    ['on a branch', async () => await set('includeIf.onbranch:topic.path', join(folder, 'topic')), '10'],
    ['with a file', () => writeFileSync(join(folder, 'topic'), section('11')), '10'],
    ['that HEAD is on', async () => await git(['symbolic-ref', 'HEAD', 'refs/heads/topic'], { cwd }), '11'],
    ['of a repository that lies elsewhere', async () => await set('includeIf.gitdir:/nowhere/.path', join(folder, 'never')), '11'],
    ['of this one', async () => await set('includeIf.gitdir:app.git.path', join(folder, 'here')), '11'],
    ['once it is written', () => writeFileSync(join(folder, 'here'), section('12')), '12'],
    ['of this worktree', async () => { await set('extensions.worktreeConfig', 'true'); writeFileSync(join(path, 'config.worktree'), section('13')) }, '13'],
    ['without a value', () => writeFileSync(join(path, 'config.worktree'), '[test]\n\tvalue\n'), null as unknown as string],
    ['the last one wins', () => writeFileSync(join(path, 'config.worktree'), section('14') + section('15')), '15']
  ]
  for (const [what, change, expected] of changes) {
    await change()
    let config = await readConfig(repository)
    assert.equal(config.get(KEY), expected, what)
    // What changed within this tick of the clock proves nothing yet.
    for (let next = await readConfig(repository); next !== config; next = await readConfig(repository)) config = next
    const before = asked()
    assert.equal(await readConfig(repository), config, what)
    assert.equal(asked(), before, what)
  }
})

test('an include whose place only git knows is never missed', async (t) => {
  const { folder, path, repository, readConfig } = await makeScene(t)
  const { username, homedir } = userInfo()
  await git(['config', 'include.path', `~${username}/${relative(homedir, join(folder, 'by-name'))}`], { cwd: path })
  assert.equal((await readConfig(repository)).get(KEY), undefined)
  writeFileSync(join(folder, 'by-name'), section('1'))
  assert.equal((await readConfig(repository)).get(KEY), '1')
})

test('two changes in one tick of the clock', async (t) => {
  const { path, repository, readConfig } = await makeScene(t)
  const file = join(path, 'config')
  writeFileSync(file, section('1'))
  stopClocks(t)
  freezeStats(t, file)
  for (const value of ['1', '2', '3']) {
    writeFileSync(file, section(value))
    assert.equal((await readConfig(repository)).get(KEY), value)
  }
})

test('a change that is taken back in the same tick, while git reads', async (t) => {
  const scene = await makeScene(t)
  const { path, repository, readConfig } = scene
  const file = join(path, 'config')
  writeFileSync(file, section('1'))
  const clock = stopClocks(t)
  freezeStats(t, file)
  scene.onGit = () => {
    writeFileSync(file, section('2'))
    return () => writeFileSync(file, section('1'))
  }
  await readConfig(repository)
  scene.onGit = () => undefined
  assert.equal((await readConfig(repository)).get(KEY), '1')
  clock.pass(60_000)
  assert.equal((await readConfig(repository)).get(KEY), '1')
})

test('a change while git reads is seen by the next question', async (t) => {
  const scene = await makeScene(t)
  const { path, repository, readConfig } = scene
  const file = join(path, 'config')
  writeFileSync(file, section('1'))
  scene.onGit = () => () => writeFileSync(file, section('2'))
  const first: RepositoryConfig = await readConfig(repository)
  assert.equal(first.get(KEY), '1')
  scene.onGit = () => undefined
  assert.equal((await readConfig(repository)).get(KEY), '2')
})

test('a config that git refuses fails every question until it is mended', async (t) => {
  const { path, repository, readConfig, asked } = await makeScene(t)
  await readConfig(repository)
  writeFileSync(join(path, 'config'), '[broken\n')
  await assert.rejects(readConfig(repository), { code: 'FST_GIT_FAILED' })
  await assert.rejects(readConfig(repository), { code: 'FST_GIT_FAILED' })
  assert.equal(asked(), 3)
  writeFileSync(join(path, 'config'), section('1'))
  assert.equal((await readConfig(repository)).get(KEY), '1')
})

test('booleans as git reads them', async () => {
  for (const value of [null, 'true', 'YES', 'on', '1', '-2', '1k']) assert.equal(gitBoolean(value), true, String(value))
  for (const value of ['', 'false', 'No', 'off', '0', '+0']) assert.equal(gitBoolean(value), false, value)
  for (const value of ['maybe', 'truee', '1.5', ' true']) assert.throws(() => gitBoolean(value), { code: 'FST_GIT_FAILED' }, value)
})
