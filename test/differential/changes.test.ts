import assert from 'node:assert/strict'
import { cp, mkdir, rename, rm, symlink, utimes, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { askHttpBackend, type Answer } from '../fixtures/http-backend.ts'
import { commitFile, history, makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'
import { assertDiscovery, questions } from './discovery-matrix.ts'

interface Scene {
  root: string
  /** `root/app.git`, with 4 commits, a branch `topic`, a packed tag `v1`, and pushing on. */
  path: string
  url: string
  /** Outside of root. */
  folder: string
  home: string
  run: (...args: string[]) => Promise<string>
}

type Changes = Array<[what: string, change: (scene: Scene) => Promise<unknown>]>

/** Asserts that the very next answers after each change are git-http-backend's, and so are those after them. */
async function assertChanges (t: TestContext, changes: Changes): Promise<void> {
  const folder = await temporaryFolder(t)
  const [root, home] = [join(folder, 'root'), join(folder, 'home')]
  for (const path of [root, home]) await mkdir(path)
  const path = await makeRepository(root, 'app.git', { commits: 4 })
  const run = async (...args: string[]): Promise<string> => await git(args, { cwd: path })
  await run('branch', 'topic', 'main~1')
  await run('tag', '-a', '-m', 'one', 'v1', 'main~2')
  await run('pack-refs', '--all')
  await run('config', 'http.receivepack', 'true')
  // The server's git reads the settings of the user that it runs for.
  const before = process.env['HOME']
  process.env['HOME'] = home
  t.after(() => { process.env['HOME'] = before })
  const { port, url } = await startServer(t, { root })
  const scene: Scene = { root, path, url: `${url}/app.git`, folder, home, run }
  const { few } = questions('app.git')
  const env = { HOME: home, GIT_CONFIG_GLOBAL: join(home, '.gitconfig') }
  for (const [what, change] of [['nothing', async () => {}] as Changes[number], ...changes]) {
    await change(scene)
    // Each question in turn is the very next one.
    for (const [i] of few.entries()) {
      const exchange = few[(i + changes.length) % few.length] ?? assert.fail()
      const theirs: Answer = await askHttpBackend(root, exchange, env)
      for (const when of ['at once', 'again']) await assertDiscovery(port, theirs, exchange, `${what}, ${when}`)
    }
  }
}

test('refs: whoever changes them in whatever way', async (t) => {
  await assertChanges(t, [
    ['a push through us', async ({ folder, url }) => {
      const work = await makeWorkingCopy(folder, 'work')
      await git(['push', '--quiet', url, 'HEAD:refs/heads/pushed'], { cwd: work })
    }],
    ['another', async ({ folder, url }) => {
      await commitFile(join(folder, 'work'), 'more.txt', 'more\n')
      await git(['push', '--quiet', url, 'HEAD:refs/heads/pushed', 'HEAD:refs/heads/new/folder/deep'], { cwd: join(folder, 'work') })
    }],
    ['a push that deletes', async ({ folder, url }) => await git(['push', '--quiet', url, ':refs/heads/new/folder/deep'], { cwd: join(folder, 'work') })],
    ['a local commit', async ({ path }) => await git(['fast-import', '--quiet', '--force'], { cwd: path, input: history('refs/heads/main', 2, 'more') })],
    ['update-ref', async ({ run }) => await run('update-ref', 'refs/heads/main', 'topic')],
    ['and back', async ({ run }) => await run('update-ref', 'refs/heads/main', 'main@{1}').catch(async () => await run('update-ref', 'refs/heads/main', 'topic~1'))],
    ['a new branch', async ({ run }) => await run('branch', 'feature/one', 'topic')],
    ['it is renamed', async ({ run }) => await run('branch', '-m', 'feature/one', 'feature/two')],
    ['a folder becomes a ref', async ({ run }) => { await run('branch', '-D', 'feature/two'); await run('branch', 'feature', 'topic') }],
    ['pack-refs', async ({ run }) => await run('pack-refs', '--all', '--prune')],
    ['a packed branch moves', async ({ run }) => await run('branch', '-f', 'topic', 'topic~1')],
    ['branch -d of a packed branch', async ({ run }) => await run('branch', '-D', 'feature')],
    ['a loose branch over a packed one is deleted', async ({ run }) => await run('branch', '-D', 'topic')],
    ['a tag', async ({ run }) => await run('tag', 'light', 'main')],
    ['an annotated tag of a tag', async ({ run }) => await run('tag', '-a', '-m', 'two', 'v2', 'v1')],
    ['it is moved', async ({ run }) => await run('tag', '-f', '-a', '-m', 'two', 'v2', 'light')],
    ['it is deleted', async ({ run }) => await run('tag', '-d', 'v2')],
    ['repack', async ({ run }) => await run('repack', '-adq')],
    ['gc', async ({ run }) => await run('gc', '--quiet', '--prune=now')],
    ['without packed-refs', async ({ path }) => await rm(join(path, 'packed-refs'))],
    ['a ref written by hand', async ({ path, run }) => await writeFile(join(path, 'refs/heads/hand'), `${(await run('rev-list', '--all', '--max-count=1')) || '1'.repeat(40)}\n`)],
    ['refs again', async ({ path, run }) => { await git(['fast-import', '--quiet', '--force'], { cwd: path, input: history('refs/heads/main', 3, 'again') }); await run('branch', 'topic', 'main~1') }],
    ['an old time and the same size', async ({ path, run }) => {
      const file = join(path, 'refs/heads/topic')
      const { atime, mtime } = await stat(file)
      await writeFile(file, `${await run('rev-parse', 'main')}\n`)
      await utimes(file, atime, mtime)
    }],
    ['HEAD is another branch', async ({ run }) => await run('symbolic-ref', 'HEAD', 'refs/heads/topic')],
    ['HEAD is unborn', async ({ run }) => await run('symbolic-ref', 'HEAD', 'refs/heads/unborn')],
    ['HEAD is detached', async ({ run }) => await run('update-ref', '--no-deref', 'HEAD', 'main~1')],
    ['HEAD is back', async ({ run }) => await run('symbolic-ref', 'HEAD', 'refs/heads/main')],
    ['a symbolic ref', async ({ run }) => await run('symbolic-ref', 'refs/heads/alias', 'refs/heads/topic')],
    ['its target moves', async ({ run }) => await run('update-ref', 'refs/heads/topic', 'topic~1')],
    ['a symlink', async ({ path }) => await symlink('main', join(path, 'refs/heads/link'))],
    ['its target moves as well', async ({ run }) => await run('update-ref', 'refs/heads/main', 'main~1')],
    ['no symlink', async ({ path }) => await rm(join(path, 'refs/heads/link'))],
    ['all refs are deleted', async ({ path }) => { await rm(join(path, 'refs'), { recursive: true }); await mkdir(join(path, 'refs')) }]
  ])
})

test('a HEAD that is none makes a folder of a repository, until it is one again', async (t) => {
  await assertChanges(t, [
    ['HEAD is no HEAD', async ({ path }) => await writeFile(join(path, 'HEAD'), 'nonsense\n')],
    ['HEAD is one again', async ({ path }) => await writeFile(join(path, 'HEAD'), 'ref: refs/heads/main\n')],
    ['no HEAD', async ({ path }) => await rm(join(path, 'HEAD'))],
    ['a HEAD', async ({ path }) => await writeFile(join(path, 'HEAD'), 'ref: refs/heads/topic\n')]
  ])
})

test('settings: wherever they are written', async (t) => {
  const section = (key: string, value: string): string => { const [first, last] = key.split('.'); return `[${first}]\n\t${last} = ${value}\n` }
  await assertChanges(t, [
    ['hidden refs', async ({ run }) => await run('config', 'transfer.hideRefs', 'refs/heads/topic')],
    ['others', async ({ run }) => await run('config', 'transfer.hideRefs', 'refs/tags')],
    ['none', async ({ run }) => await run('config', '--unset', 'transfer.hideRefs')],
    ['filters', async ({ run }) => await run('config', 'uploadpack.allowFilter', 'true')],
    ['unborn ignored', async ({ run }) => await run('config', 'lsrefs.unborn', 'ignore')],
    ['unborn HEAD', async ({ run }) => await run('symbolic-ref', 'HEAD', 'refs/heads/unborn')],
    ['unborn advertised', async ({ run }) => await run('config', 'lsrefs.unborn', 'advertise')],
    ['a value that git refuses', async ({ run }) => await run('config', 'lsrefs.unborn', 'perhaps')],
    ['none', async ({ run }) => await run('config', '--unset', 'lsrefs.unborn')],
    ['no fetches', async ({ run }) => await run('config', 'http.uploadpack', 'false')],
    ['fetches', async ({ run }) => await run('config', 'http.uploadpack', 'true')],
    ['no pushes', async ({ run }) => await run('config', 'http.receivepack', 'false')],
    ['pushes', async ({ run }) => await run('config', 'http.receivepack', 'true')],
    ['push options', async ({ run }) => await run('config', 'receive.advertisePushOptions', 'true')],
    ['an include', async ({ run, path }) => { await writeFile(join(path, 'included'), ''); await run('config', 'include.path', 'included') }],
    ['that is edited', async ({ path }) => await writeFile(join(path, 'included'), section('uploadpack.allowRefInWant', 'true'))],
    ['and edited', async ({ path }) => await writeFile(join(path, 'included'), section('uploadpack.hideRefs', 'refs/heads/topic'))],
    ['an include of nothing', async ({ run }) => await run('config', '--add', 'include.path', 'later/file')],
    ['that is there later', async ({ path }) => { await mkdir(join(path, 'later')); await writeFile(join(path, 'later/file'), section('receive.hideRefs', 'refs/heads/main')) }],
    ['and gone again', async ({ path }) => await rm(join(path, 'later'), { recursive: true })],
    ['the user\'s', async ({ home }) => await writeFile(join(home, '.gitconfig'), section('transfer.hideRefs', 'refs/tags'))],
    ['otherwise', async ({ home }) => await writeFile(join(home, '.gitconfig'), section('transfer.hideRefs', 'refs/head'))],
    ['no more', async ({ home }) => await rm(join(home, '.gitconfig'))],
    ['a worktree\'s', async ({ run, path }) => { await run('config', 'extensions.worktreeConfig', 'true'); await writeFile(join(path, 'config.worktree'), section('transfer.hideRefs', 'refs/heads/main')) }],
    ['otherwise', async ({ path }) => await writeFile(join(path, 'config.worktree'), section('transfer.hideRefs', 'refs/heads/to'))],
    ['a broken config', async ({ path }) => await writeFile(join(path, 'config.worktree'), '[broken')],
    ['mended', async ({ path }) => await rm(join(path, 'config.worktree'))]
  ])
})

test('places: a repository that becomes another one', async (t) => {
  const fill = async (path: string, label: string): Promise<void> => {
    await git(['init', '--quiet', '--bare', path])
    await git(['fast-import', '--quiet'], { cwd: path, input: history('refs/heads/main', 4, label) })
    await git(['config', 'http.receivepack', 'true'], { cwd: path })
  }
  await assertChanges(t, [
    ['a shallow file', async ({ path, run }) => await writeFile(join(path, 'shallow'), `${await run('rev-parse', 'main~2')}\n`)],
    ['another', async ({ path, run }) => await writeFile(join(path, 'shallow'), `${await run('rev-parse', 'main~1')}\n`)],
    ['none', async ({ path }) => await rm(join(path, 'shallow'))],
    ['a lender', async ({ root, path }) => { await fill(join(root, 'lender.git'), 'lender'); await writeFile(join(path, 'objects/info/alternates'), `${join(root, 'lender.git/objects')}\n`) }],
    ['whose refs change', async ({ root }) => await git(['branch', 'lent', 'main~1'], { cwd: join(root, 'lender.git') })],
    ['none', async ({ path }) => await rm(join(path, 'objects/info/alternates'))],
    ['deleted', async ({ path }) => await rm(path, { recursive: true })],
    ['created again', async ({ path }) => await fill(path, 'second')],
    ['deleted and created again', async ({ path }) => { await rm(path, { recursive: true }); await fill(path, 'third') }],
    ['replaced by rename', async ({ root, path }) => { await fill(join(root, 'next.git'), 'fourth'); await rename(path, join(root, 'old.git')); await rename(join(root, 'next.git'), path) }],
    ['a symlink', async ({ root, path }) => { await rename(path, join(root, 'one.git')); await symlink('one.git', path) }],
    ['that leads elsewhere', async ({ path }) => { await rm(path); await symlink('old.git', path) }],
    ['its target moves', async ({ root }) => await git(['update-ref', 'refs/heads/main', 'main~2'], { cwd: join(root, 'old.git') })],
    ['objects that are not there for a moment', async ({ root }) => await rename(join(root, 'old.git/objects'), join(root, 'old.git/stcejbo'))],
    ['and are again', async ({ root }) => await rename(join(root, 'old.git/stcejbo'), join(root, 'old.git/objects'))],
    ['a .git below the name', async ({ root, path }) => await cp(join(root, 'one.git'), join(path, '.git'), { recursive: true })],
    ['no more', async ({ path }) => await rm(join(path, '.git'), { recursive: true })]
  ])
})

test('a working copy that appears beside a bare repository takes its name', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git', { commits: 2 })
  const { port } = await startServer(t, { root })
  const { few } = questions('app')
  const assertAll = async (when: string): Promise<void> => {
    for (const exchange of few.filter(({ target }) => !target.includes('receive'))) {
      const theirs = await askHttpBackend(root, exchange)
      assert.equal(theirs.status, 200)
      for (const again of ['at once', 'again']) await assertDiscovery(port, theirs, exchange, `${when}, ${again}`)
    }
  }
  await assertAll('app.git alone')
  await makeWorkingCopy(root, 'app')
  await assertAll('app/.git as well')
  await rm(join(root, 'app/.git'), { recursive: true })
  await assertAll('app without .git')
})
