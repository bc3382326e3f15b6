/** Names that look odd and are none the less good, and names at which nothing may be created. */
import assert from 'node:assert/strict'
import { mkdir, readdir, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { git } from '../fixtures/git.ts'
import { makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import type { GitOperation } from '../../lib/index.ts'
import { assertAlive, assertDiscreet, makeStage, post, pushBody, send, serve } from './helpers.ts'

/** Folders below root, each with the URLs by which git finds it. */
const GOOD: Array<{ folder: string, urls: string[], why: string }> = [
  { folder: 'with space.git', urls: ['with%20space.git', 'with%20space'], why: 'a space within' },
  { folder: 'grüße/日本語 🚀.git', urls: [encodeURI('grüße/日本語 🚀.git'), encodeURI('grüße/日本語 🚀')], why: 'UTF-8' },
  { folder: `${'n'.repeat(200)}.git`, urls: [`${'n'.repeat(200)}.git`, 'n'.repeat(200)], why: '200 characters, twice Fastify\'s maxParamLength' },
  { folder: `${'é'.repeat(120)}.git`, urls: [encodeURI('é'.repeat(120))], why: '240 bytes, 720 characters on the wire' },
  { folder: 'n'.repeat(255), urls: ['n'.repeat(255)], why: 'as long as a file name can be' },
  { folder: `${'deep/'.repeat(40)}app.git`, urls: [`${'deep/'.repeat(40)}app.git`], why: 'forty folders deep' },
  { folder: 'team/plain.git', urls: ['team/plain', 'team%2fplain.git', '%74eam/%70lain%2Egit'], why: 'escapes that mean nothing else' },
  { folder: '100%.git', urls: ['100%25.git'], why: 'a percent sign' },
  { folder: '%2e%2e.git', urls: ['%252e%252e.git'], why: 'a name that looks like an escape: it is decoded once' },
  { folder: 'a?b#c;d.git', urls: ['a%3fb%23c%3bd.git'], why: 'what ends a path when it is not encoded' },
  { folder: 'a+b&c=d:e@f,g!.git', urls: ['a+b&c=d:e@f,g!.git', 'a%2Bb%26c%3Dd%3Ae%40f%2Cg%21'], why: 'what may stand in a path as it is' },
  { folder: '$(touch x)`id`|*.git', urls: ['%24(touch%20x)%60id%60%7C*.git'], why: 'what a shell would run' },
  { folder: '"quoted\' .git', urls: ['%22quoted%27%20.git'], why: 'quotes' },
  { folder: '..a..b.git', urls: ['..a..b.git', '..a..b'], why: 'dots that are no dot folder' },
  { folder: '.hidden.git', urls: ['.hidden.git', '.hidden'], why: 'a dot in front' },
  { folder: 'x-.git', urls: ['x-.git'], why: 'a dash that is not in front' },
  { folder: '~user.git', urls: ['~user.git', '%7euser'], why: 'a tilde: nobody\'s home' },
  { folder: 'HEAD', urls: ['HEAD'], why: 'a repository named like a family' },
  { folder: 'named/info', urls: ['named/info'], why: 'the start of a family' },
  { folder: 'info/refs.git', urls: ['info/refs', 'info/refs.git'], why: 'a whole family, below the start of one' },
  { folder: 'named/objects', urls: ['named/objects'], why: 'the start of a family' },
  { folder: 'objects/info/packs.git', urls: ['objects/info/packs'], why: 'a file of a family' },
  { folder: 'refs', urls: ['refs'], why: 'a part of a repository' },
  { folder: 'git-upload-pack', urls: ['git-upload-pack'], why: 'a service' },
  { folder: 'git', urls: ['git'], why: 'the prefix' },
  { folder: 'constructor', urls: ['constructor'], why: 'a property of every object' }
]

test('odd names are served in all families', async (t) => {
  const stage = await makeStage(t)
  const seen: GitOperation[] = []
  for (const { folder } of GOOD) {
    await mkdir(join(stage.root, folder, '..'), { recursive: true })
    await rename(await makeRepository(stage.folder, 'made.git'), join(stage.root, folder))
  }
  const server = await serve(t, stage, { authorize: (operation) => { seen.push(operation); return true } })
  for (const { folder, urls, why } of GOOD) {
    for (const url of urls) {
      await t.test(`${url.length > 60 ? `${url.slice(0, 20)}... (${url.length} characters)` : url}: ${why}`, async () => {
        seen.length = 0
        for (const suffix of ['info/refs', 'info/refs?service=git-upload-pack', 'HEAD', 'objects/info/packs']) {
          const response = await send(server.port, 'GET', `/git/${url}/${suffix}`)
          assert.equal(response.status, 200, `${suffix}: ${response.text}`)
          assertDiscreet(stage, response, suffix)
        }
        assert.equal((await post(server.port, `/git/${url}/git-upload-pack`, '0000')).status, 200)
        // One name for one repository, however it was asked for: access rules depend on it.
        assert.deepEqual([...new Set(seen.map(({ repository }) => repository))], [folder])
        assert.deepEqual([...new Set(seen.map(({ directory }) => directory))], [join(stage.root, folder)])
      })
    }
  }
  await t.test('the real client clones by such a URL', async () => {
    const url = `${server.url}/${encodeURI('grüße/日本語 🚀')}`
    await git(['clone', '--quiet', url, join(stage.folder, 'clone')])
  })
  assert.ok(!(await readdir(stage.root)).includes('x'), 'no shell ran a name')
})

test('a linked worktree\'s folder within a repository is no second name of the repository', async (t) => {
  const stage = await makeStage(t)
  const app = join(stage.root, 'app.git')
  await git(['worktree', 'add', '--quiet', join(stage.root, 'tree'), '-b', 'side'], { cwd: app })
  const server = await serve(t, stage)
  const response = await send(server.port, 'GET', '/git/app.git/worktrees/tree/info/refs')
  assert.equal(response.status, 404, 'a rule about `app` would not hold for it')
  assert.equal((await send(server.port, 'GET', '/git/tree/info/refs')).status, 200, 'the working copy itself has a name in root')
})

/** Prefixes that end where a family begins, with a URL that is too short to name anything. */
const OVERLAPS = [
  { prefix: '/info', target: '/info/refs' },
  { prefix: '/objects', target: '/objects/info/packs' },
  { prefix: '/a/objects/info', target: '/a/objects/info/packs' },
  { prefix: '/objects/pack', target: `/objects/pack/pack-${'ab'.repeat(20)}.pack` }
]

for (const { prefix, target } of OVERLAPS) {
  test(`prefix ${prefix}: ${target} is no git URL below it`, async (t) => {
    const stage = await makeStage(t)
    const server = await serve(t, stage, { prefix })
    for (const method of ['GET', 'HEAD', 'POST']) {
      const response = await send(server.port, method, target)
      assert.ok([404, 405].includes(response.status), `${method}: ${response.text}`)
      assertDiscreet(stage, response, method)
    }
    await assertAlive(server)
  })
}

/** Where `createOnPush` must create nothing although anybody may push. `before` prepares root. */
const NOT_CREATED: Array<{ name: string, why: string, before?: (root: string, outside: string) => Promise<unknown> }> = [
  { name: '..%2foutside%2fnew.git', why: 'outside of root' },
  { name: '../new.git', why: 'outside of root, not encoded' },
  { name: '-new.git', why: 'an option to git' },
  { name: 'new.git%00', why: 'a NUL' },
  { name: 'new%0a.git', why: 'a newline' },
  { name: 'new.git.', why: 'a dot at the end' },
  { name: '.git', why: 'root as a working copy' },
  { name: `${'n'.repeat(252)}`, why: 'too long once `.git` is added' },
  { name: 'app.git/new.git', why: 'within a repository' },
  { name: 'app.git/refs/heads/new', why: 'within a repository, where refs are' },
  { name: 'clone/new', why: 'within a working copy', before: async (root) => { await makeWorkingCopy(root, 'clone') } },
  { name: 'clone/.git/new', why: 'within a working copy\'s .git', before: async (root) => { await makeWorkingCopy(root, 'clone') } },
  { name: 'link/new.git', why: 'through a folder that is a symlink out of root', before: async (root, outside) => { await symlink(outside, join(root, 'link')) } },
  { name: 'new.git', why: 'at a symlink out of root that leads to nothing', before: async (root, outside) => { await symlink(join(outside, 'new.git'), join(root, 'new.git')) } },
  { name: 'notes.git', why: 'at a file', before: async (root) => { await writeFile(join(root, 'notes.git'), 'mine\n') } },
  { name: 'notes.txt/new.git', why: 'below a file', before: async (root) => { await writeFile(join(root, 'notes.txt'), 'mine\n') } },
  { name: 'full.git', why: 'at a folder that is not empty', before: async (root) => { await mkdir(join(root, 'full.git')); await writeFile(join(root, 'full.git/mine'), '') } }
]

for (const { name, why, before } of NOT_CREATED) {
  test(`createOnPush creates nothing ${why}: ${name.slice(0, 30)}`, async (t) => {
    const stage = await makeStage(t)
    await before?.(stage.root, stage.outside)
    const server = await serve(t, stage, { publicWrite: true, createOnPush: true })
    const files = async (): Promise<string[]> => (await readdir(stage.folder, { recursive: true })).filter((file) => !file.startsWith('trace')).sort()
    const there = await files()
    const body = await pushBody(join(stage.root, 'app.git'), 'refs/heads/main')
    const response = await post(server.port, `/git/${name}/git-receive-pack`, body)
    assert.deepEqual(await files(), there)
    assertDiscreet(stage, response, name)
    assert.ok(response.status >= 400 && response.status < 500, response.text)
    await assertAlive(server)
  })
}
