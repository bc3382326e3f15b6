import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, readdir, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { indexPack, takeApart } from '../fixtures/fetch-answer.ts'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { gatedGit } from '../fixtures/gated-git.ts'
import { git } from '../fixtures/git.ts'
import { filed, largeRepository, servePacks, settled, tipOf, type PackScene } from '../fixtures/pack-scene.ts'
import { postFetch } from '../fixtures/post-fetch.ts'
import { eventually } from '../fixtures/processes.ts'
import { mountSmall } from '../packs/helpers.ts'

const MB = 1024 * 1024
const WARNING = 'packs cannot be kept on disk; fetches are answered without it'

async function cloneAll ({ root, appUrl, served }: PackScene, count: number): Promise<void> {
  const tip = await tipOf(served)
  for (let i = 0; i < count; i++) {
    const into = join(root, `clone-${i}`)
    await git(['clone', '--quiet', '--no-checkout', appUrl, into])
    assert.equal(await git(['rev-parse', 'HEAD'], { cwd: into }), tip)
  }
}

function warnings ({ log }: PackScene): string[] {
  return log.filter(({ level }) => Number(level) >= 40).map(({ msg }) => String(msg))
}

test('the disk is full: clones succeed, alone and at once, nothing stays on it, and one line says so', async (t) => {
  // Where no file system may be mounted, the option has to do.
  const mounted = mountSmall(t, 5 * MB)
  const scene = await servePacks(t, largeRepository(8 * MB), { packs: mounted === null ? { maxBytes: 5 * MB } : { directory: mounted } })
  await cloneAll(scene, 2)
  const body = fetchV2({ wants: [await tipOf(scene.served)] })
  const replies = await Promise.all(Array.from({ length: 8 }, async () => await postFetch(scene.appUrl, body)))
  for (const { status, body } of replies) {
    assert.equal(status, 200)
    assert.ok(takeApart(body).pack.length > 8 * MB)
  }
  await eventually(async () => (await readdir(mounted ?? scene.packs)).length === 0, 2_000, 'the room is given back')
  assert.deepEqual(warnings(scene), [WARNING])
})

test('a folder that holds as much as it may: clones succeed all the same', async (t) => {
  const scene = await servePacks(t, largeRepository(8 * MB), { packs: { maxBytes: 2 * MB } })
  await cloneAll(scene, 3)
  await eventually(async () => (await readdir(scene.packs)).length === 0, 2_000, 'the room is given back')
  assert.deepEqual(warnings(scene), [WARNING])
})

for (const [what, prepare] of [
  ['is read-only', async (t, folder) => {
    // The modes of a folder do not hold root.
    const mounted = mountSmall(t, 5 * MB)
    if (mounted === null) await chmod(folder, 0o500)
    else execFileSync('mount', ['-o', 'remount,ro', mounted])
    return mounted ?? folder
  }],
  ['cannot be made', async (_t, folder) => {
    await writeFile(join(folder, 'file'), '')
    return join(folder, 'file', 'packs')
  }],
  ['is open to other users', async (_t, folder) => {
    await chmod(folder, 0o755)
    return folder
  }]
] as Array<[string, (t: Parameters<typeof temporaryFolder>[0], folder: string) => Promise<string>]>) {
  test(`the folder ${what}: clones succeed, and one line says so`, async (t) => {
    const directory = await prepare(t, await temporaryFolder(t))
    const scene = await servePacks(t, largeRepository(6 * MB), { packs: { directory } })
    await cloneAll(scene, 3)
    assert.deepEqual(warnings(scene), [WARNING])
    assert.deepEqual((await readdir(directory).catch(() => [])), [])
  })
}

test('the folder goes away while it is used: clones succeed, and it comes back', async (t) => {
  const scene = await servePacks(t, largeRepository(6 * MB))
  await cloneAll(scene, 2)
  await filed(scene)
  await rm(scene.packs, { recursive: true })
  const body = fetchV2({ wants: [await tipOf(scene.served)] })
  for (let i = 0; i < 2; i++) {
    await settled(scene)
    assert.equal((await postFetch(scene.appUrl, body)).cache, 'miss')
  }
  await filed(scene)
  assert.equal((await postFetch(scene.appUrl, body)).cache, 'hit')
  assert.equal((await stat(scene.packs)).mode & 0o777, 0o700)
})

test('files and folder are for the server\'s user only, while they grow and when they are complete', async (t) => {
  const gate = await gatedGit(await temporaryFolder(t), 5 * MB)
  const scene = await servePacks(t, largeRepository(6 * MB), { git: { path: gate.path } })
  const body = fetchV2({ wants: [await tipOf(scene.served)] })
  const asked = [postFetch(scene.appUrl, body), postFetch(scene.appUrl, body)]
  await gate.reached(1)
  await eventually(async () => (await readdir(scene.packs).catch(() => [])).length === 1, 5_000, 'the file is there')
  const modes = async (): Promise<number[]> => await Promise.all((await readdir(scene.packs)).map(async (name) => (await stat(join(scene.packs, name))).mode & 0o7777))
  assert.deepEqual(await modes(), [0o600])
  assert.equal((await stat(scene.packs)).mode & 0o7777, 0o700)
  await gate.open()
  await Promise.all(asked)
  await filed(scene)
  assert.deepEqual(await modes(), [0o600])
})

test('a file that was cut, lengthened or replaced is never served', async (t) => {
  const scene = await servePacks(t, largeRepository(6 * MB))
  const body = fetchV2({ wants: [await tipOf(scene.served)] })
  for (let i = 0; i < 2; i++) await postFetch(scene.appUrl, body)
  await filed(scene)
  const [name = ''] = await readdir(scene.packs)
  const path = join(scene.packs, name)
  for (const harm of [
    async () => await truncate(path, 1_000_000),
    async () => await truncate(path, 0),
    async () => await truncate(path, 9_000_000),
    async () => {
      await rename(path, join(scene.root, 'elsewhere'))
      await symlink(join(scene.root, 'elsewhere'), path)
    },
    async () => {
      await rm(path)
      await mkdir(path)
    }
  ]) {
    await harm()
    const reply = await postFetch(scene.appUrl, body)
    assert.equal(reply.cache, 'miss')
    takeApart(reply.body)
    await eventually(async () => (await readdir(scene.packs)).every((name) => !name.startsWith('tmp-')), 2_000, 'it is kept or not')
    await rm(path, { recursive: true, force: true })
    await postFetch(scene.appUrl, body)
    await filed(scene)
    assert.equal((await postFetch(scene.appUrl, body)).cache, 'hit')
  }
})

test('somebody repacks and collects garbage while an answer is made: it stays right, and so do those that follow', async (t) => {
  const gate = await gatedGit(await temporaryFolder(t), 5 * MB)
  const scene = await servePacks(t, largeRepository(6 * MB), { git: { path: gate.path } })
  const at = { cwd: scene.served }
  const body = fetchV2({ wants: [await tipOf(scene.served)] })
  const asked = [postFetch(scene.appUrl, body), postFetch(scene.appUrl, body)]
  await gate.reached(1)
  await git(['repack', '-adfq'], at)
  await git(['gc', '--quiet', '--prune=now'], at)
  asked.push(postFetch(scene.appUrl, body))
  await gate.open()
  const expected = (await git(['rev-list', '--objects', '--no-object-names', 'main'], at)).split('\n').sort()
  const replies = await Promise.all(asked)
  await filed(scene)
  replies.push(await postFetch(scene.appUrl, body))
  for (const reply of replies) assert.ok(reply.body.equals(replies[0]?.body as Buffer))
  assert.equal(replies.at(-1)?.cache, 'hit')
  assert.deepEqual(await indexPack(takeApart(replies[3]?.body as Buffer).pack, { directory: null, shallows: [], partial: false }), expected)
})

test('real clones stay right while a repository is repacked without end', async (t) => {
  const scene = await servePacks(t, largeRepository(5 * MB))
  const at = { cwd: scene.served }
  const over = new AbortController()
  const repacking = (async () => {
    for (let i = 0; !over.signal.aborted; i++) {
      await git(['update-ref', `refs/heads/copy-${i % 3}`, 'main'], at)
      await git(i % 2 === 0 ? ['repack', '-adfq'] : ['gc', '--quiet', '--prune=now'], at)
    }
  })()
  await Promise.all([0, 1, 2].map(async (i) => {
    for (let round = 0; round < 2; round++) {
      const into = join(scene.root, `copy-${i}-${round}`)
      await git(['clone', '--quiet', '--no-checkout', ...(i === 2 ? ['--depth=1'] : []), scene.appUrl, into])
      await git(['fsck', '--strict'], { cwd: into })
    }
  }))
  over.abort()
  await repacking
})
