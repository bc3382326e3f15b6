/** The empty repository that stands for one that a push would create: it outlives what cleans the temporary folder, and killed servers. */
import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, rm, stat, utimes } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { createTemplate } from '../../lib/repository/template.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { getRaw } from '../fixtures/raw.ts'
import { startServer } from '../fixtures/server.ts'

const PREFIX = 'fastify-git-http-template-'
const HOUR = 3_600_000

/** The system's temporary folder of this test alone. */
async function scene (t: TestContext): Promise<{ folder: string, templates: () => Promise<string[]> }> {
  const folder = await temporaryFolder(t)
  const before = process.env['TMPDIR']
  process.env['TMPDIR'] = folder
  t.after(() => {
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
  })
  return { folder, templates: async () => (await readdir(folder)).filter((name) => name.startsWith(PREFIX)) }
}

const age = async (path: string, hours: number): Promise<void> => { await utimes(path, new Date(), new Date(Date.now() - hours * HOUR)) }
const init = async (directory: string): Promise<void> => { await git(['init', '--quiet', '--bare', directory]) }

test('a template is made once, and anew when it is gone, damaged, or could not be made', async (t) => {
  const { templates } = await scene(t)
  let made = 0
  let fails = true
  const template = createTemplate(async (directory) => {
    made++
    if (fails) throw new Error('no space')
    await init(directory)
  })
  await assert.rejects(template.get(), /no space/)
  assert.deepEqual(await templates(), [])
  fails = false
  for (const damage of ['', 'HEAD', 'refs', 'objects']) {
    made = 0
    const got = await Promise.all([template.get(), template.get(), template.get()])
    await template.get()
    const directory = got[0].directory
    assert.deepEqual([made, new Set(got.map((each) => each.directory)).size], [1, 1])
    assert.equal(await git(['rev-parse', '--is-bare-repository'], { cwd: directory }), 'true')
    await rm(join(directory, damage), { recursive: true })
  }
  const { directory } = await template.get()
  assert.ok((await templates()).includes(basename(directory)))
  await template.close()
  assert.ok(!(await templates()).includes(basename(directory)))
})

test('making one removes those that nobody has touched for a day, and no others', async (t) => {
  const { folder, templates } = await scene(t)
  for (const [name, hours, mode] of [['old000', 25, 0o700], ['young0', 23, 0o700], ['shared', 25, 0o750]] as const) {
    const path = join(folder, `${PREFIX}${name}`)
    await mkdir(join(path, 'objects'), { recursive: true })
    await chmod(path, mode)
    await age(path, hours)
  }
  const template = createTemplate(init)
  await template.get()
  const names = await templates()
  assert.equal(names.length, 3)
  assert.deepEqual(['old000', 'young0', 'shared'].map((name) => names.includes(`${PREFIX}${name}`)), [false, true, true])
})

test('its owner touches a template that is used, once an hour at most', async (t) => {
  await scene(t)
  const template = createTemplate(init)
  const { directory } = await template.get()
  const isOld = async (): Promise<boolean> => (await stat(directory)).mtimeMs < Date.now() - HOUR
  await age(directory, 5)
  await template.get()
  assert.equal(await isOld(), true)
  const now = Date.now()
  t.mock.method(Date, 'now', () => now + HOUR + 1_000)
  await template.get()
  t.mock.restoreAll()
  assert.equal(await isOld(), false)
})

test('a push is told what it would meet also after the temporary folder was emptied', async (t) => {
  const { folder, templates } = await scene(t)
  const root = await temporaryFolder(t)
  const { port, app } = await startServer(t, { root, publicWrite: true, createOnPush: true, spawner: { processes: 0 } })
  const seen = new Set<string>()
  for (let i = 0; i < 2; i++) {
    const response = await getRaw(port, '/new.git/info/refs?service=git-receive-pack')
    assert.equal(response.status, 200, response.text)
    for (const name of await templates()) {
      seen.add(name)
      await rm(join(folder, name), { recursive: true })
    }
  }
  assert.deepEqual([seen.size, await readdir(root)], [2, []])
  await app.close()
})
