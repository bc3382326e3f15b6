import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { startCommand, type RunningCommand } from '../fixtures/command.ts'
import { takeApart } from '../fixtures/fetch-answer.ts'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { largeRepository, settled, tipOf } from '../fixtures/pack-scene.ts'
import { endOf, openFetch, postFetch, readSome } from '../fixtures/post-fetch.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { writeScript } from '../fixtures/shims.ts'

const MB = 1024 * 1024

interface Machine {
  root: string
  /** The folder of the pack cache, as all commands find it. */
  packs: string
  body: Buffer
  env: Record<string, string>
  start (): Promise<RunningCommand>
}

/** Servers of one machine: as processes of their own, with the default folder. */
async function machine (t: TestContext): Promise<Machine> {
  const folder = await temporaryFolder(t)
  const [root, temporary] = [join(folder, 'root'), join(folder, 'tmp')]
  for (const path of [root, temporary]) await mkdir(path)
  const served = await largeRepository(6 * MB)(root)
  const env: Record<string, string> = { TMPDIR: temporary }
  return {
    root: folder,
    packs: join(temporary, `fastify-git-http-packs-${process.geteuid?.()}`),
    body: fetchV2({ wants: [await tipOf(served)] }),
    env,
    start: async () => await startCommand(t, ['--root', root], { env })
  }
}

function usesOf (command: RunningCommand): unknown[] {
  const lines = command.log().trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>)
  return lines.filter(({ msg, phase }) => msg === 'git operation' && phase === 'exchange').map((line) => line['cache'])
}

test('two servers share one folder: the second one hits what the first one made, and the other way round', async (t) => {
  const { packs, body, start } = await machine(t)
  const [one, two] = await Promise.all([start(), start()])
  const answers: Buffer[] = []
  for (const command of [one, one, two, two]) {
    await settled({ packs })
    answers.push((await postFetch(`${command.url}/app.git`, body)).body)
  }
  await eventually(async () => usesOf(one).length === 2 && usesOf(two).length === 2, 5_000, 'both have logged')
  assert.deepEqual([usesOf(one), usesOf(two)], [['miss', 'miss'], ['hit', 'hit']])
  for (const answer of answers.slice(2)) assert.ok(answer.equals(answers[1] as Buffer))
  const files = await readdir(packs)
  assert.equal(files.length, 1)

  // One that goes takes nothing along that others use.
  const reading = await openFetch(`${two.url}/app.git`, body)
  one.child.kill('SIGTERM')
  await one.ended
  assert.deepEqual(await readdir(packs), files)
  assert.equal(await endOf(reading), 'whole')
  const third = await start()
  assert.ok((await postFetch(`${third.url}/app.git`, body)).body.equals(answers[1] as Buffer))
  await eventually(async () => usesOf(third).length === 1, 5_000, 'the third has logged')
  assert.deepEqual(usesOf(third), ['hit'])
})

test('a server that is killed in the middle of a clone leaves nothing that the next one does not sweep', async (t) => {
  const scene = await machine(t)
  const { root, packs, body, env } = scene
  // Found in PATH before the real one; it stops within the answer.
  const real = (process.env['PATH'] ?? '').split(':')
  await mkdir(join(root, 'bin'))
  await writeScript(join(root, 'bin'), 'git', `PATH=${real.join(':')}; case " $* " in *" upload-pack "*) git "$@" > ${root}/answer; head -c ${5 * MB} ${root}/answer; while [ ! -e ${root}/open ]; do sleep 0.05; done; tail -c +${5 * MB + 1} ${root}/answer; exit 0;; esac; exec git "$@"`)
  env['PATH'] = `${join(root, 'bin')}:${process.env['PATH']}`
  const first = await scene.start()
  const clone = await openFetch(`${first.url}/app.git`, body)
  await readSome(clone, MB)
  await eventually(async () => (await readdir(packs).catch(() => [])).length === 1, 5_000, 'the file grows')
  const [left = ''] = await readdir(packs)
  assert.match(left, /^tmp-/)
  const end = endOf(clone)
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')
  assert.notEqual(await end, 'whole')
  assert.deepEqual(await readdir(packs), [left])
  await eventually(async () => (await processesAbout(join(root, 'root', 'app.git'))).length === 0, 5_000, 'no git is orphaned')

  await writeFile(join(root, 'open'), '')
  const second = await scene.start()
  await eventually(async () => (await readdir(packs)).length === 0, 5_000, 'the leftover is swept')
  const { body: answer } = await postFetch(`${second.url}/app.git`, body)
  assert.ok(takeApart(answer).pack.length > 6 * MB)
})

test('a server leaves the files alone that another one is making', async (t) => {
  const scene = await machine(t)
  const first = await scene.start()
  const url = `${first.url}/app.git`
  const slow = await openFetch(url, scene.body)
  await readSome(slow, 1000)
  await eventually(async () => (await readdir(scene.packs).catch(() => [])).length === 1, 5_000, 'the file grows')
  const [growing = ''] = await readdir(scene.packs)
  const second = await scene.start()
  // Its answer comes after it has looked into the folder.
  await postFetch(`${second.url}/app.git`, scene.body)
  await postFetch(`${second.url}/app.git`, scene.body)
  assert.match(growing, /^tmp-/)
  assert.ok((await readdir(scene.packs)).includes(growing))
  assert.equal(await endOf(slow), 'whole')
})
