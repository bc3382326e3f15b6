/**
 * Repositories with a part that lies elsewhere. What leaves root is a missing repository, for every family; what
 * points to another place within root is served.
 */
import assert from 'node:assert/strict'
import { appendFile, cp, mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { git, tryGit } from '../fixtures/git.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { assertAlive, assertDiscreet, looseName, makeStage, post, sealed, send, serve, type Stage } from './helpers.ts'

/** Makes `evil.git` in root with a part of it at `elsewhere`, a folder that holds `secret.git` and is outside of root, or inside. */
interface Link { what: string, gitFollows?: true, make: (evil: string, elsewhere: string) => Promise<unknown> }

async function replace (path: string, target: string): Promise<void> {
  await rm(path, { recursive: true, force: true })
  await symlink(target, path)
}

async function addAlternates (evil: string, bytes: string | Buffer): Promise<void> {
  await writeFile(join(evil, 'objects/info/alternates'), bytes)
}

/** A git directory without objects and refs of its own, as `git worktree add` makes it. */
async function linkedWorktree (evil: string, common: string): Promise<void> {
  for (const name of await readdir(evil)) await rm(join(evil, name), { recursive: true })
  await writeFile(join(evil, 'HEAD'), 'ref: refs/heads/main\n')
  await writeFile(join(evil, 'commondir'), common)
}

const LINKS: Link[] = [
  { what: 'a symlinked repository', make: async (evil, elsewhere) => { await replace(evil, join(elsewhere, 'secret.git')) } },
  { what: 'a relative symlink', make: async (evil, elsewhere) => { await replace(evil, relative(join(evil, '..'), join(elsewhere, 'secret.git'))) } },
  {
    what: 'a symlink to a symlink',
    make: async (evil, elsewhere) => {
      await symlink(join(elsewhere, 'secret.git'), `${evil}.hop`)
      await replace(evil, `${evil}.hop`)
    }
  },
  {
    what: 'a symlinked folder above the repository',
    make: async (evil, elsewhere) => {
      await replace(evil, elsewhere)
      await symlink('secret.git', join(elsewhere, '.git'))
    }
  },
  { what: 'a .git file', make: async (evil, elsewhere) => { await rm(evil, { recursive: true }); await writeFile(evil, `gitdir: ${join(elsewhere, 'secret.git')}\n`) } },
  {
    what: 'a .git file with a relative path',
    make: async (evil, elsewhere) => {
      await rm(evil, { recursive: true })
      await mkdir(evil)
      await writeFile(join(evil, '.git'), `gitdir: ${relative(evil, join(elsewhere, 'secret.git'))}\n`)
    }
  },
  {
    what: 'a symlinked .git folder of a working copy',
    make: async (evil, elsewhere) => {
      await rm(evil, { recursive: true })
      await mkdir(evil)
      await symlink(join(elsewhere, 'secret.git'), join(evil, '.git'))
    }
  },
  { what: 'commondir', make: async (evil, elsewhere) => { await linkedWorktree(evil, `${join(elsewhere, 'secret.git')}\n`) } },
  { what: 'commondir with a relative path', make: async (evil, elsewhere) => { await linkedWorktree(evil, relative(evil, join(elsewhere, 'secret.git'))) } },
  { what: 'alternates', make: async (evil, elsewhere) => { await addAlternates(evil, `${join(elsewhere, 'secret.git/objects')}\n`) } },
  { what: 'alternates with a relative path', make: async (evil, elsewhere) => { await addAlternates(evil, relative(join(evil, 'objects'), join(elsewhere, 'secret.git/objects'))) } },
  {
    what: 'alternates of alternates',
    make: async (evil, elsewhere) => {
      const hop = await makeRepository(join(evil, '..'), 'hop.git')
      await addAlternates(hop, `${join(elsewhere, 'secret.git/objects')}\n`)
      await addAlternates(evil, `${join(hop, 'objects')}\n`)
    }
  },
  { what: 'symlinked objects', make: async (evil, elsewhere) => { await replace(join(evil, 'objects'), join(elsewhere, 'secret.git/objects')) } },
  { what: 'symlinked objects/pack', make: async (evil, elsewhere) => { await replace(join(evil, 'objects/pack'), join(elsewhere, 'secret.git/objects/pack')) } },
  { what: 'symlinked objects/info', make: async (evil, elsewhere) => { await replace(join(evil, 'objects/info'), join(elsewhere, 'secret.git/objects/info')) } },
  { what: 'symlinked refs', make: async (evil, elsewhere) => { await replace(join(evil, 'refs'), join(elsewhere, 'secret.git/refs')) } },
  { what: 'a symlinked config', make: async (evil, elsewhere) => { await replace(join(evil, 'config'), join(elsewhere, 'secret.git/config')) } }
]

/** Only hostile outside of root: the same tricks inside would be pointless, or are no setup that git makes. */
const TRICKS: Link[] = [
  { what: 'a symlink to a file of somebody else', make: async (evil, elsewhere) => { await replace(evil, join(elsewhere, 'secret.txt')) } },
  { what: 'HEAD as a symlink to a file of somebody else', make: async (evil, elsewhere) => { await replace(join(evil, 'HEAD'), join(elsewhere, 'secret.txt')) } },
  {
    what: 'commondir through a symlink and back up: `link/..` is where the link leads to',
    gitFollows: true,
    make: async (evil, elsewhere) => {
      await mkdir(join(elsewhere, 'below'))
      await cp(evil, `${evil}.copy`, { recursive: true })
      await rename(`${evil}.copy`, join(evil, 'secret.git'))
      await symlink(join(elsewhere, 'below'), join(evil, 'link'))
      await writeFile(join(evil, 'commondir'), 'link/../secret.git\n')
    }
  },
  { what: 'alternates behind 100 kB of comments', gitFollows: true, make: async (evil, elsewhere) => { await addAlternates(evil, `${'# comment\n'.repeat(10_000)}${join(elsewhere, 'secret.git/objects')}\n`) } },
  { what: 'alternates with a NUL, where a C string ends, behind the path', gitFollows: true, make: async (evil, elsewhere) => { await addAlternates(evil, `${join(elsewhere, 'secret.git/objects')}\0nowhere\n`) } },
  {
    what: 'alternates with a path that is not UTF-8',
    gitFollows: true,
    make: async (evil, elsewhere) => {
      const odd = Buffer.concat([Buffer.from(`${elsewhere}/`), Buffer.of(0xff)])
      await symlink('secret.git/objects', odd)
      await addAlternates(evil, Buffer.concat([odd, Buffer.from('\n')]))
    }
  },
  { what: 'alternates with a quoted path', gitFollows: true, make: async (evil, elsewhere) => { await addAlternates(evil, `"${join(elsewhere, 'secret.git/obj\\145cts')}"\n`) } },
  {
    what: 'alternates as a symlink to a list that is elsewhere',
    gitFollows: true,
    make: async (evil, elsewhere) => {
      await writeFile(join(elsewhere, 'alternates'), `${join(elsewhere, 'secret.git/objects')}\n`)
      await replace(join(evil, 'objects/info/alternates'), join(elsewhere, 'alternates'))
    }
  }
]

const REQUESTS = ['info/refs', 'info/refs?service=git-upload-pack', 'info/refs?service=git-receive-pack', 'HEAD', 'objects/info/packs']

/** The tricks work: git itself follows them to the object, so nothing but the server stands before it. */
async function gitFollows (evil: string, object: string): Promise<boolean> {
  return (await tryGit([`--git-dir=${evil}`, 'cat-file', '-e', object.replace('/', '')])).code === 0
}

async function makeEvil (stage: Stage, { make }: Link, elsewhere: string): Promise<void> {
  await make(await makeRepository(stage.root, 'evil.git'), elsewhere)
}

for (const link of [...LINKS, ...TRICKS]) {
  test(`${link.what} that leaves root is a missing repository`, async (t) => {
    const stage = await makeStage(t)
    await makeEvil(stage, link, stage.outside)
    const object = await looseName(join(stage.outside, 'secret.git'), 'main')
    if (link.gitFollows === true) assert.ok(await gitFollows(join(stage.root, 'evil.git'), object))
    const server = await serve(t, stage, { publicWrite: true })
    const untouched = await sealed(stage.outside)
    for (const name of ['evil.git', 'evil', 'evil.git/secret.git']) {
      for (const request of [...REQUESTS, `objects/${object}`, 'objects/info/alternates']) {
        const response = await send(server.port, 'GET', `/git/${name}/${request}`)
        assert.equal(response.status, 404, `GET ${name}/${request}: ${response.text}`)
        assertDiscreet(stage, response, request)
      }
      for (const service of ['git-upload-pack', 'git-receive-pack']) {
        assert.equal((await post(server.port, `/git/${name}/${service}`, '0000')).status, 404, service)
      }
    }
    assert.deepEqual(await stage.started(), [])
    await untouched()
    await assertAlive(server)
  })
}

for (const link of LINKS) {
  test(`${link.what} that stays inside root is served`, async (t) => {
    const stage = await makeStage(t)
    const elsewhere = join(stage.root, 'store')
    await rename(stage.outside, elsewhere)
    await makeEvil(stage, link, elsewhere)
    const server = await serve(t, stage)
    assert.match(await git(['ls-remote', `${server.url}/evil.git`]), /refs\/heads\/main/)
    assert.equal((await send(server.port, 'GET', '/git/evil.git/HEAD')).status, 200)
  })
}

for (const [what, place] of [['outside', 'outside'], ['inside', 'root']] as const) {
  test(`a single symlinked object, pack and index: 404 when it is outside of root (here: ${what})`, async (t) => {
    const stage = await makeStage(t)
    const app = join(stage.root, 'app.git')
    const loose = await looseName(app, 'main')
    const donor = await makeRepository(stage[place], 'donor.git', { commits: 3 })
    await git(['repack', '-adq'], { cwd: donor })
    const packs = (await readdir(join(donor, 'objects/pack'))).filter((name) => /\.(?:pack|idx)$/.test(name))
    await rename(join(app, 'objects', loose), join(stage[place], 'loose'))
    await symlink(join(stage[place], 'loose'), join(app, 'objects', loose))
    for (const name of packs) await symlink(join(donor, 'objects/pack', name), join(app, 'objects/pack', name))
    await writeFile(join(stage[place], 'list'), '/nowhere\n')
    await symlink(join(stage[place], 'list'), join(app, 'objects/info/http-alternates'))
    const server = await serve(t, stage)
    for (const name of [loose, ...packs.map((pack) => `pack/${pack}`), 'info/http-alternates']) {
      for (const method of ['GET', 'HEAD']) {
        const response = await send(server.port, method, `/git/app.git/objects/${name}`)
        assert.equal(response.status, what === 'outside' ? 404 : 200, `${method} ${name}: ${response.text.slice(0, 300)}`)
        assertDiscreet(stage, response, name)
      }
    }
  })
}

test('a folder of objects that is a symlink out of root gives none of them', async (t) => {
  const stage = await makeStage(t)
  const object = await looseName(join(stage.outside, 'secret.git'), 'main')
  const folder = object.slice(0, 2)
  await rm(join(stage.root, 'app.git/objects', folder), { recursive: true, force: true })
  await symlink(join(stage.outside, 'secret.git/objects', folder), join(stage.root, 'app.git/objects', folder))
  const server = await serve(t, stage)
  assert.equal((await send(server.port, 'GET', `/git/app.git/objects/${object}`)).status, 404)
})

test('objects/info/alternates is never served, wherever it points to', async (t) => {
  const stage = await makeStage(t)
  const other = await makeRepository(stage.root, 'other.git')
  await addAlternates(join(stage.root, 'app.git'), `${join(other, 'objects')}\n`)
  await appendFile(join(stage.root, 'app.git/objects/info/http-alternates'), '/git/other.git/objects\n')
  const server = await serve(t, stage)
  for (const method of ['GET', 'HEAD']) {
    const response = await send(server.port, method, '/git/app.git/objects/info/alternates', ['Range: bytes=0-'])
    assert.equal(response.status, 404)
    assertDiscreet(stage, response, method)
  }
  const meant = await send(server.port, 'GET', '/git/app.git/objects/info/http-alternates')
  assert.deepEqual([meant.status, meant.body.toString()], [200, '/git/other.git/objects\n'], 'the list that is meant for clients')
})

test('a root that is a symlink itself is served', async (t) => {
  const stage = await makeStage(t)
  const root = join(stage.folder, 'link-to-root')
  await symlink(stage.root, root)
  const server = await serve(t, stage, { root })
  assert.match(await git(['ls-remote', `${server.url}/app`]), /refs\/heads\/main/)
  const object = await looseName(join(stage.root, 'app.git'), 'main')
  assert.equal((await send(server.port, 'GET', `/git/app.git/objects/${object}`)).status, 200)
  assert.equal((await send(server.port, 'GET', '/git/..%2foutside%2fsecret.git/HEAD')).status, 404)
})
