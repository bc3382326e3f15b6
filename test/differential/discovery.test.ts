import assert from 'node:assert/strict'
import { readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { askHttpBackend } from '../fixtures/http-backend.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'
import { lsRefs } from '../answers/helpers.ts'
import { assertAll, questions } from './discovery-matrix.ts'
import { askOurs } from './helpers.ts'
import { makeEveryKind } from './repositories.ts'

interface Kind {
  commits?: number
  init?: string[]
  make?: (path: string, root: string) => Promise<unknown>
  /** The path of the URL, when it is not the repository's own. */
  name?: string
  env?: Record<string, string>
}

/** What {@link makeEveryKind} lacks. Receive-pack is on in all of them. */
const KINDS: Record<string, Kind> = {
  'empty-and-unborn.git': { commits: 0, make: async (path) => await git(['symbolic-ref', 'HEAD', 'refs/heads/elsewhere'], { cwd: path }) },
  'thousands.git': {
    make: async (path) => {
      const create = (kind: string): string => Array.from({ length: 1_000 }, (_, i) => `create refs/heads/${kind}-${i} main\n`).join('')
      await git(['update-ref', '--stdin'], { cwd: path, input: create('packed') })
      await git(['pack-refs', '--all'], { cwd: path })
      await git(['-c', 'core.fsync=none', 'update-ref', '--stdin'], { cwd: path, input: create('loose') })
    }
  },
  'hidden-per-service.git': {
    make: async (path) => {
      for (const name of ['refs/a/1', 'refs/b/1', 'refs/b/2', 'refs/heads/secret']) await git(['update-ref', name, 'main'], { cwd: path })
      for (const [key, value] of [['uploadpack.hideRefs', 'refs/a'], ['receive.hideRefs', 'refs/b'], ['transfer.hideRefs', '^refs/b/2'], ['uploadpack.hideRefs', 'refs/heads/secret']] as const) {
        await git(['config', '--add', key, value], { cwd: path })
      }
    }
  },
  'shallow.git': {
    make: async (path, root) => {
      await rm(path, { recursive: true })
      await git(['clone', '--quiet', '--bare', '--depth=1', `file://${join(root, 'thousands.git')}`, path])
    }
  },
  'borrowing.git': { make: async (path, root) => await writeFile(join(path, 'objects/info/alternates'), `${join(root, 'thousands.git/objects')}\n`) },
  'sha256-tags.git': {
    init: ['--object-format=sha256'],
    make: async (path) => {
      await git(['tag', '-a', '-m', 'one', 'v1', 'main'], { cwd: path })
      await git(['tag', '-a', '-m', 'two', 'nested', 'v1'], { cwd: path })
    }
  },
  linked: {
    name: 'linked',
    make: async (path, root) => {
      await git(['worktree', 'add', '--quiet', '-b', 'topic', join(root, 'linked')], { cwd: path })
      await git(['update-ref', 'refs/worktree/own', 'main'], { cwd: join(root, 'linked') })
      await git(['update-ref', 'refs/worktree/others', 'main'], { cwd: path })
    }
  },
  'symlinks.git': {
    make: async (path) => {
      await symlink('main', join(path, 'refs/heads/link'))
      await symlink('nowhere', join(path, 'refs/heads/dangling'))
      await symlink('../heads', join(path, 'refs/tags/folder'))
    }
  },
  'head-link.git': { make: async (path) => { await rm(join(path, 'HEAD')); await symlink('refs/heads/main', join(path, 'HEAD')) } },
  'broken.git': {
    make: async (path) => {
      const id = (await git(['rev-parse', 'main'], { cwd: path }))
      const files = { garbage: 'garbage\n', empty: '', 'no..name': `${id}\n`, missing: `${'1'.repeat(40)}\n`, dangling: 'ref: refs/heads/nowhere\n', loop: 'ref: refs/heads/loop\n', 'x.lock': `${id}\n`, out: 'ref: FETCH_HEAD\n' }
      for (const [name, content] of Object.entries(files)) await writeFile(join(path, 'refs/heads', name), content)
      await writeFile(join(path, 'FETCH_HEAD'), `${id}\n`)
    }
  },
  'broken-head.git': { make: async (path) => await writeFile(join(path, 'HEAD'), `${'1'.repeat(40)}\n`) },
  'remote.git': {
    make: async (path) => {
      await git(['update-ref', 'refs/remotes/origin/main', 'main'], { cwd: path })
      await git(['symbolic-ref', 'refs/remotes/origin/HEAD', 'refs/remotes/origin/main'], { cwd: path })
      await git(['symbolic-ref', 'refs/heads/alias-of-alias', 'refs/remotes/origin/HEAD'], { cwd: path })
      await git(['tag', '-a', '-m', 'one', 'v1', 'main'], { cwd: path })
      await git(['symbolic-ref', 'refs/tags/latest', 'refs/tags/v1'], { cwd: path })
    }
  },
  'options.git': {
    make: async (path) => {
      const settings = { 'uploadpack.allowFilter': 'true', 'uploadpack.allowAnySHA1InWant': 'true', 'uploadpack.allowRefInWant': 'true', 'uploadpack.advertiseSidebandAll': 'true', 'receive.advertisePushOptions': 'true', 'receive.advertiseAtomic': 'false', 'lsrefs.unborn': 'allow', 'transfer.advertiseObjectInfo': 'true', 'repack.useDeltaBaseOffset': 'false' }
      for (const [key, value] of Object.entries(settings)) await git(['config', key, value], { cwd: path })
    }
  },
  'no-unborn.git': { make: async (path) => { await git(['config', 'lsrefs.unborn', 'ignore'], { cwd: path }); await git(['symbolic-ref', 'HEAD', 'refs/heads/none'], { cwd: path }) } },
  'wrong-unborn.git': { make: async (path) => await git(['config', 'lsrefs.unborn', 'perhaps'], { cwd: path }) },
  'reftable-by-name.git': { make: async (path) => await git(['config', 'extensions.refStorage', 'reftable'], { cwd: path }) },
  'reftable-unknown.git': { make: async (path) => { for (const [key, value] of [['core.repositoryFormatVersion', '1'], ['extensions.refStorage', 'reftable']] as const) await git(['config', '-f', join(path, 'config'), key, value]) } }
}

for (const [name, { commits = 3, init = [], make, name: asked = name }] of Object.entries(KINDS)) {
  test(`discovery is git-http-backend's, cold and warm: ${name}`, async (t) => {
    const root = await temporaryFolder(t)
    if (['shallow.git', 'borrowing.git'].includes(name)) await KINDS['thousands.git']?.make?.(await makeRepository(root, 'thousands.git', { commits }), root)
    const path = await makeRepository(root, asked === name && name.endsWith('.git') ? name : 'base.git', { commits, init })
    await git(['config', 'http.receivepack', 'true'], { cwd: path })
    await make?.(path, root)
    await git(['config', '-f', join(path, 'config'), 'http.receivepack', 'true'])
    const { port } = await startServer(t, { root })
    await assertAll(port, root, questions(asked, init.some((option) => option.includes('sha256')) ? 'sha256' : undefined).all, name)
  })
}

test('discovery is git-http-backend\'s, cold and warm, for every kind of repository that there is already', async (t) => {
  const root = await temporaryFolder(t)
  const names = await makeEveryKind(root)
  assert.ok((await readdir(root)).length >= names.length)
  const { port } = await startServer(t, { root })
  for (const name of names) await assertAll(port, root, questions(name, name.startsWith('sha256') ? 'sha256' : undefined).all, name)
})

test('a prefix with a NUL in it ends there, as for git', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git', { commits: 3 })
  const { port } = await startServer(t, { root })
  await assertAll(port, root, [lsRefs('app.git', ['ref-prefix refs/\0x'])], 'NUL')
})

test('what git cannot read the config of is closed', async (t) => {
  const root = await temporaryFolder(t)
  const path = await makeRepository(root, 'app.git', { commits: 3 })
  const settings = { 'http.getanyfile': 'false', 'core.repositoryFormatVersion': '1', 'extensions.refStorage': 'unheard-of' }
  for (const [key, value] of Object.entries(settings)) await git(['config', '-f', join(path, 'config'), key, value])
  const { port } = await startServer(t, { root })
  for (const file of ['HEAD', 'info/refs', 'objects/info/packs']) {
    const [ours, theirs] = [await askOurs(port, { target: `/app.git/${file}` }), await askHttpBackend(root, { target: `/app.git/${file}` })]
    assert.ok(theirs.status >= 400 && ours.status >= 400, `${file}: ${ours.status}, git-http-backend ${theirs.status}`)
  }
})

test('a real reftable, where this git has it', async (t) => {
  const root = await temporaryFolder(t)
  const { code } = await tryGit(['init', '--quiet', '--bare', '--ref-format=reftable', join(root, 'app.git')])
  // Otherwise the repositories that only say so stand for it.
  if (code !== 0) {
    assert.doesNotMatch(await readFile(join(root, 'app.git/config'), 'utf8').catch(() => ''), /reftable/)
    return
  }
  await git(['config', 'http.receivepack', 'true'], { cwd: join(root, 'app.git') })
  const { port } = await startServer(t, { root })
  const { all } = questions('app.git')
  await assertAll(port, root, all, 'empty')
  const id = await git(['commit-tree', '-m', 'one', await git(['mktree'], { cwd: join(root, 'app.git') })], { cwd: join(root, 'app.git') })
  for (const name of ['main', 'topic', 'topic-2']) {
    await git(['update-ref', `refs/heads/${name}`, id], { cwd: join(root, 'app.git') })
    await assertAll(port, root, all, name)
  }
})

test('namespaces: discovery is that of git-http-backend in the same namespace', async (t) => {
  const root = await temporaryFolder(t)
  const path = await makeRepository(root, 'app.git', { commits: 3 })
  for (const [name, value] of [['refs/namespaces/one/refs/heads/main', 'main'], ['refs/namespaces/one/refs/namespaces/two/refs/heads/deep', 'main~1']] as const) await git(['update-ref', name, value], { cwd: path })
  await git(['symbolic-ref', 'refs/namespaces/one/HEAD', 'refs/namespaces/one/refs/heads/main'], { cwd: path })
  await git(['config', 'http.receivepack', 'true'], { cwd: path })
  await git(['config', 'transfer.hideRefs', 'refs/namespaces'], { cwd: path })
  let space = ''
  const { port } = await startServer(t, { root, namespace: () => space })
  for (space of ['one', 'one/two', 'none', '', 'one']) {
    await assertAll(port, root, questions('app.git').all, `namespace ${space}`, space === '' ? {} : { GIT_NAMESPACE: space })
  }
})
