/** kill -9 of a server and its helpers at once: nobody is left to remove a helper's folder but the next helper. */
import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, rename, symlink, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { removeLeftFolders, SPAWNER_FOLDER } from '../../lib/git/left-folders.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { eventually } from '../fixtures/processes.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { startServerProcess, type ServerProcess } from '../fixtures/server-process.ts'

const age = async (path: string): Promise<void> => { await utimes(path, new Date(), new Date(Date.now() - 120_000)) }

/** Listens on a socket in a folder; `leave` stops and leaves the socket there, as a death does. */
async function listen (t: TestContext, folder: string, leave: boolean): Promise<void> {
  const [made, path] = [join(folder, 'made'), join(folder, 'socket')]
  const server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(made, resolve))
  await rename(made, path)
  if (leave) await new Promise((resolve) => server.close(resolve))
  else t.after(() => server.close())
}

test('a helper\'s folder is removed only where it is old, its user\'s alone, and nobody listens in it', async (t) => {
  const parent = await temporaryFolder(t)
  const elsewhere = await temporaryFolder(t)
  const rows: Array<{ name: string, stays: boolean, young?: boolean, fill?: (path: string) => Promise<unknown> }> = [
    { name: 'dead00', stays: false, fill: async (path) => await listen(t, path, true) },
    { name: 'empty0', stays: false },
    { name: 'alive0', stays: true, fill: async (path) => await listen(t, path, false) },
    { name: 'own000', stays: true, fill: async (path) => await listen(t, path, true) },
    { name: 'young0', stays: true, young: true, fill: async (path) => await listen(t, path, true) },
    { name: 'young1', stays: true, young: true },
    { name: 'group0', stays: true, fill: async (path) => await chmod(path, 0o750) },
    { name: 'others', stays: true, fill: async (path) => await chmod(path, 0o701) },
    { name: 'file00', stays: true, fill: async (path) => await writeFile(join(path, 'socket'), '') },
    { name: 'link00', stays: true, fill: async (path) => await symlink(join(elsewhere, 'socket'), join(path, 'socket')) },
    { name: 'folder', stays: true, fill: async (path) => await mkdir(join(path, 'socket')) },
    { name: 'note00', stays: true, fill: async (path) => await writeFile(join(path, 'note'), '') },
    { name: 'longer0', stays: true },
    { name: 'short', stays: true }
  ]
  await listen(t, elsewhere, true)
  for (const { name, young = false, fill } of rows) {
    const path = join(parent, `${SPAWNER_FOLDER}${name}`)
    await mkdir(path, { mode: 0o700 })
    await fill?.(path)
    if (!young) await age(path)
  }
  await age(elsewhere)
  await symlink(elsewhere, join(parent, `${SPAWNER_FOLDER}linked`))
  await writeFile(join(parent, `${SPAWNER_FOLDER}plain0`), '')
  await age(join(parent, `${SPAWNER_FOLDER}plain0`))
  await removeLeftFolders(join(parent, `${SPAWNER_FOLDER}own000`))
  const expected = [...rows.filter(({ stays }) => stays).map(({ name }) => name), 'linked', 'plain0'].map((name) => `${SPAWNER_FOLDER}${name}`)
  assert.deepEqual((await readdir(parent)).sort(), expected.sort())
  assert.deepEqual(await readdir(elsewhere), ['socket'])
  await removeLeftFolders(join(elsewhere, 'none', `${SPAWNER_FOLDER}own000`))
})

test('folders that killed servers left are removed by the next server, and those of living ones stay', async (t) => {
  const [root, temporary] = [await temporaryFolder(t), await temporaryFolder(t)]
  await makeRepository(root, 'app.git')
  const before = process.env['TMPDIR']
  process.env['TMPDIR'] = temporary
  t.after(() => {
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
  })
  const folders = async (): Promise<string[]> => (await readdir(temporary)).filter((name) => name.startsWith(SPAWNER_FOLDER))
  const start = async (): Promise<{ server: ServerProcess, own: string }> => {
    const known = await folders()
    const server = await startServerProcess({ root, cache: { answers: false }, spawner: { processes: 1 } })
    t.after(async () => { await server.close() })
    await git(['ls-remote', `${server.url}/app.git`])
    const [own = '', ...more] = (await folders()).filter((name) => !known.includes(name))
    assert.ok(own !== '' && more.length === 0)
    return { server, own }
  }

  const [living, killed, young] = [await start(), await start(), await start()]
  await killed.server.killAll(join(root, 'app.git'))
  await young.server.killAll(join(root, 'app.git'))
  assert.deepEqual((await folders()).sort(), [living.own, killed.own, young.own].sort())
  for (const { own } of [living, killed]) await age(join(temporary, own))
  const next = await start()
  await eventually(async () => !(await folders()).includes(killed.own), 5_000, 'what was left is gone')
  await git(['ls-remote', `${living.server.url}/app.git`])
  await next.server.close()
  assert.deepEqual((await folders()).sort(), [living.own, young.own].sort())
})
