import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { git } from '../fixtures/git.ts'
import { commitFile, commitRandom, history } from '../fixtures/repository.ts'
import type { Result } from './programs.ts'
import { PASSWORD, startTeamServer, USER, type TeamServer } from './team-server.ts'

/** `clone USER PASSWORD FOLDER URL`, `fetch USER PASSWORD FOLDER` and `push USER PASSWORD FOLDER REFSPEC`. */
export type Client = (...args: string[]) => Promise<Result>

interface Copy {
  server: TeamServer
  client: Client
  /** The clone's folder. */
  path: string
}

/** What a git client of another family must be able to do here. `open` finds the client, or fails. */
export function clientStories (name: string, open: () => Promise<Client>): void {
  test(`${name} clones`, async (t) => {
    const { server, path } = await cloned(t, open)
    assert.equal(await git(['rev-parse', 'HEAD'], { cwd: path }), await git(['rev-parse', 'main'], { cwd: server.repository }))
    await git(['fsck', '--strict'], { cwd: path })
    assert.equal(await git(['status', '--porcelain'], { cwd: path }), '')
  })

  test(`${name} fetches what was committed since`, async (t) => {
    const { server, client, path } = await cloned(t, open)
    await git(['fast-import', '--quiet', '--force'], { cwd: server.repository, input: history('refs/heads/main', 40) })
    succeeded(await client('fetch', USER, PASSWORD, path))
    assert.equal(await git(['rev-parse', 'origin/main'], { cwd: path }), await git(['rev-parse', 'main'], { cwd: server.repository }))
    await git(['fsck', '--strict'], { cwd: path })
  })

  test(`${name} pushes a commit and a new branch`, async (t) => {
    const { server, client, path } = await cloned(t, open)
    const commit = await commitFile(path, 'new.txt', 'new\n')
    succeeded(await client('push', USER, PASSWORD, path, 'refs/heads/main:refs/heads/main'))
    succeeded(await client('push', USER, PASSWORD, path, 'refs/heads/main:refs/heads/topic'))
    await holds(server, 'main', commit)
    await holds(server, 'topic', commit)
  })

  test(`${name} pushes 20 MB`, async (t) => {
    const { server, client, path } = await cloned(t, open)
    const commit = await commitRandom(path, 'big.bin', 20_000_000)
    succeeded(await client('push', USER, PASSWORD, path, 'refs/heads/main:refs/heads/main'))
    await holds(server, 'main', commit)
    assert.equal(await git(['cat-file', '-s', 'main:big.bin'], { cwd: server.repository }), '20000000')
  })

  test(`${name} fails with a wrong password, and changes nothing`, async (t) => {
    const { server, client, path } = await cloned(t, open)
    const before = await git(['rev-parse', 'main'], { cwd: server.repository })
    await commitFile(path, 'new.txt', 'new\n')
    const before401 = server.seen.length
    failed(await client('clone', USER, 'guessed', join(server.folder, 'other'), `${server.url}/team/app.git`))
    failed(await client('fetch', USER, 'guessed', path))
    failed(await client('push', USER, 'guessed', path, 'refs/heads/main:refs/heads/main'))
    assert.equal(await git(['rev-parse', 'main'], { cwd: server.repository }), before)
    const sent = server.seen.slice(before401)
    assert.ok(sent.some(({ headers }) => headers['authorization'] !== undefined), 'the wrong password reached the server')
    assert.ok(sent.every(({ url }) => url.includes('/info/refs?')), 'no client went on after the refusal')
  })
}

/** A server, and a clone that the client made of its repository. */
export async function cloned (t: TestContext, open: () => Promise<Client>): Promise<Copy> {
  const client = await open()
  const server = await startTeamServer(t)
  const path = join(server.folder, 'copy')
  succeeded(await client('clone', USER, PASSWORD, path, `${server.url}/team/app.git`))
  return { server, client, path }
}

/** The server's repository has the commit, and everything it needs. */
async function holds (server: TeamServer, branch: string, commit: string): Promise<void> {
  assert.equal(await git(['rev-parse', branch], { cwd: server.repository }), commit)
  await git(['fsck', '--strict', '--full'], { cwd: server.repository })
}

export function succeeded ({ code, stderr }: Result): void {
  assert.equal(code, 0, stderr)
}

function failed ({ code, stderr }: Result): void {
  assert.notEqual(code, 0)
  assert.match(stderr, /credential|unauthor/i)
}
