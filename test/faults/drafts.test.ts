/** kill -9 of the server while a push creates a repository: what was begun has no name, is no repository, and does not stay for ever. */
import assert from 'node:assert/strict'
import { mkdir, readdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { getRaw } from '../fixtures/raw.ts'
import { makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServerProcess, type ServerProcess } from '../fixtures/server-process.ts'
import { gitShim } from '../fixtures/shims.ts'

/** Names that look like drafts and are somebody else's. */
const OTHERS = ['.new-notes', '.new-01234567-89ab-cdef-0123-456789abcdef.git', '.new-01234567-89ab-cdef-0123-456789abcdeg', 'x.new-01234567-89ab-cdef-0123-456789abcdef']
const FILE = '.new-00000000-0000-0000-0000-000000000001'
const LINK = '.new-00000000-0000-0000-0000-000000000002'

test('a draft that a killed server left is removed when it is old, by the next push that creates a repository there', async (t) => {
  const [folder, root] = [await temporaryFolder(t), await temporaryFolder(t)]
  const work = await makeWorkingCopy(folder, 'work')
  const path = await gitShim(folder, 'init', `case "$*" in *.new-*) git "$@"; touch ${folder}/reached; while [ ! -e ${folder}/go ]; do sleep 0.05; done; exit 0;; esac`)
  const start = async (): Promise<ServerProcess> => {
    const server = await startServerProcess({ root, publicWrite: true, createOnPush: true, git: { path } })
    t.after(async () => { await server.killAll(root) })
    return server
  }
  const drafts = async (): Promise<string[]> => (await readdir(join(root, 'team'))).filter((name) => name.startsWith('.new-'))

  const first = await start()
  const push = tryGit(['push', `${first.url}/team/app.git`, 'main'], { cwd: work })
  await eventually(async () => (await readdir(folder)).includes('reached'), 10_000, 'the draft is filled')
  await first.killAll(root)
  assert.notEqual((await push).code, 0)
  const [draft = '', ...more] = await drafts()
  assert.ok(draft !== '' && more.length === 0)
  assert.deepEqual(await processesAbout(root), [])
  await writeFile(join(folder, 'go'), '')

  for (const name of OTHERS) await mkdir(join(root, 'team', name))
  await writeFile(join(root, 'team', FILE), 'mine')
  const outside = await makeRepository(folder, 'outside.git')
  await symlink(outside, join(root, 'team', LINK))
  const others = (await drafts()).filter((name) => name !== draft)
  for (const name of [...OTHERS, FILE]) await utimes(join(root, 'team', name), new Date(0), new Date(0))
  await utimes(outside, new Date(0), new Date(0))

  const second = await start()
  assert.equal((await getRaw(second.port, '/team/app.git/info/refs')).status, 404, 'half a repository is none')
  await git(['push', '--quiet', `${second.url}/team/app.git`, 'main'], { cwd: work })
  assert.ok((await drafts()).includes(draft), 'it could be one that another server fills')
  await second.killAll(root)
  await utimes(join(root, 'team', draft), new Date(0), new Date(0))

  const third = await start()
  await git(['push', '--quiet', `${third.url}/team/other.git`, 'main'], { cwd: work })
  assert.deepEqual((await drafts()).sort(), others.sort(), 'nothing else was touched')
  await git(['fsck'], { cwd: outside })
  for (const name of ['app.git', 'other.git']) await git(['fsck', '--full'], { cwd: join(root, 'team', name) })
})
