import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { createSweep } from '../../lib/git/sweep.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { makeRepository } from '../fixtures/repository.ts'

const HOUR = 3_600_000

/** Objects that stay, whatever their age, and quarantines whose newest part is so many milliseconds old. */
async function scene (t: TestContext, quarantines: Record<string, number>): Promise<{ repository: { directory: string, common: string }, names: () => Promise<string[]> }> {
  const directory = await makeRepository(await temporaryFolder(t), 'app.git')
  const objects = join(directory, 'objects')
  for (const name of ['tmp_other-1', 'incoming', 'my-incoming-1']) await aged(join(objects, name), 9 * HOUR)
  for (const [name, age] of Object.entries(quarantines)) await aged(join(objects, name), age)
  return {
    repository: { directory, common: directory },
    names: async () => (await readdir(objects)).filter((name) => /incoming|tmp_/.test(name)).sort()
  }
}

async function aged (folder: string, age: number): Promise<void> {
  await mkdir(join(folder, 'pack'), { recursive: true })
  await writeFile(join(folder, 'pack/tmp_pack_x'), 'PACK')
  // Only its innermost part is young: git writes to the pack, not to the folder.
  for (const [path, old] of [[join(folder, 'pack/tmp_pack_x'), age], [join(folder, 'pack'), 9 * HOUR], [folder, 9 * HOUR]] as const) {
    const time = new Date(Date.now() - old)
    await utimes(path, time, time)
  }
}

const OTHERS = ['incoming', 'my-incoming-1', 'tmp_other-1']

test('quarantines in which nothing has changed for an hour are removed, and nothing else', async (t) => {
  const { repository, names } = await scene(t, { 'tmp_objdir-incoming-abc': 2 * HOUR, 'incoming-def': 2 * HOUR, 'tmp_objdir-incoming-new': HOUR / 2 })
  await createSweep()(repository)
  assert.deepEqual(await names(), [...OTHERS, 'tmp_objdir-incoming-new'].sort())
})

test('a repository is looked at once in that time', async (t) => {
  const { repository, names } = await scene(t, {})
  const sweep = createSweep()
  await sweep(repository)
  await aged(join(repository.common, 'objects/incoming-late'), 2 * HOUR)
  await sweep(repository)
  assert.ok((await names()).includes('incoming-late'))
})

for (const [what, cwd, env] of [
  ['works in the repository', true, false],
  ['says that its quarantine is there', false, true]
] as const) {
  test(`nothing is removed while a process ${what}`, async (t) => {
    const { repository: { directory, common }, names } = await scene(t, { 'tmp_objdir-incoming-abc': 2 * HOUR })
    const quarantine = join(common, 'objects/tmp_objdir-incoming-abc')
    const child = spawn('cat', { cwd: cwd ? directory : '/', env: { ...process.env, ...(env ? { GIT_QUARANTINE_PATH: quarantine } : {}) } })
    await once(child, 'spawn')
    await createSweep()({ directory, common })
    assert.deepEqual(await names(), [...OTHERS, 'tmp_objdir-incoming-abc'].sort())
    child.stdin.end()
    await once(child, 'exit')
    await createSweep()({ directory, common })
    assert.deepEqual(await names(), OTHERS)
  })
}

test('a repository that cannot be looked at is no error', async () => {
  await createSweep()({ directory: '/nonexistent', common: '/nonexistent' })
})
