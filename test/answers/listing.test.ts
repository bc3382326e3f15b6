import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { AnswerCache } from '../../lib/answers/answer-cache.ts'
import { rememberedAdvertisement, rememberedLsRefs, type Question } from '../../lib/answers/discovery.ts'
import { Admission } from '../../lib/limits/admission.ts'
import type { Context } from '../../lib/context.ts'
import type { GitProcess } from '../../lib/git/git-process.ts'
import { openGitDirectory } from '../../lib/repository/git-directory.ts'
import { createReadRefs } from '../../lib/repository/refs.ts'
import { NO_SETTINGS } from '../../lib/repository/settings.ts'
import { packet } from '../differential/helpers.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { freezeStats, stopClocks } from '../fixtures/simulated.ts'

const asker = { left: new AbortController().signal, onFailure: () => {}, user: null, address: '' }
const config = { settings: NO_SETTINGS, get: () => undefined }

interface Scene {
  question: Question
  context: Context
  /** The ref that git reads. */
  ref: string
  /** How many gits were started. */
  starts: () => number
  /** What git does, and says on stderr. Its answer is the ref's content. */
  onGit: () => { stderr?: string, after?: () => void }
}

/** A real repository, and a git that does what the test says. */
async function makeScene (t: TestContext): Promise<Scene> {
  const path = await makeRepository(await temporaryFolder(t), 'app.git')
  const repository = await openGitDirectory(path, null) ?? assert.fail()
  const ref = join(path, 'refs/heads/main')
  let starts = 0
  const start = async (): Promise<GitProcess> => {
    starts++
    const { stderr = '', after } = scene.onGit()
    const stdout = new PassThrough()
    stdout.end(`${packet(`${readFileSync(ref, 'utf8').trim()} refs/heads/main\n`)}0000`)
    after?.()
    return { pid: 0, stdin: new PassThrough(), stdout, exited: Promise.resolve({ code: 0, signal: null, stderr }), hasExited: true }
  }
  const context = {
    admission: new Admission(),
    options: { git: { path: 'git', config: {} } },
    env: {},
    starter: { start },
    readConfig: async () => config,
    readRefs: createReadRefs(),
    answers: new AnswerCache(1_000_000)
  } as unknown as Context
  const question = { repository, protocol: 'version=2', namespace: undefined, hasOwnEnvironment: false }
  const scene: Scene = { question, context, ref, starts: () => starts, onGit: () => ({}) }
  return scene
}

function request (prefix: string): Buffer {
  return Buffer.from(`${packet('command=ls-refs')}0001${packet(`ref-prefix ${prefix}`)}0000`)
}

test('two questions for one listing: neither remembers what came with a warning', async (t) => {
  const scene = await makeScene(t)
  const { question, context, starts } = scene
  const ask = async (prefix: string): Promise<string> => (await rememberedLsRefs(context, question, request(prefix), asker))?.bytes.toString() ?? ''
  scene.onGit = () => ({ stderr: 'warning: ignoring a broken ref\n' })
  // A look under way: both questions share the one after it.
  const look = context.readRefs(question.repository)
  const [all, none] = await Promise.all([ask('refs/heads/'), ask('refs/tags/'), look])
  assert.match(all, /refs\/heads\/main/)
  assert.equal(none, '0000')
  assert.equal(starts(), 1)
  await ask('refs/heads/')
  assert.equal(starts(), 2)
  await ask('refs/tags/')
  assert.equal(starts(), 3)
})

test('an advertisement with a warning is not remembered', async (t) => {
  const scene = await makeScene(t)
  const { question, context, starts } = scene
  scene.onGit = () => ({ stderr: 'warning: ignoring a broken ref\n' })
  for (const expected of [1, 2]) {
    await rememberedAdvertisement(context, question, 'upload-pack', asker)
    assert.equal(starts(), expected)
  }
  scene.onGit = () => ({})
  for (const expected of [3, 3]) {
    await rememberedAdvertisement(context, question, 'upload-pack', asker)
    assert.equal(starts(), expected)
  }
})

test('a change while git reads belongs to the next question', async (t) => {
  const scene = await makeScene(t)
  const { question, context, ref } = scene
  const ask = async (): Promise<string> => (await rememberedLsRefs(context, question, request(''), asker))?.bytes.toString() ?? ''
  const id = readFileSync(ref, 'utf8').trim()
  scene.onGit = () => ({ after: () => writeFileSync(ref, `${'1'.repeat(40)}\n`) })
  assert.match(await ask(), new RegExp(id))
  scene.onGit = () => ({})
  assert.match(await ask(), /1{40}/)
})

test('a change that is taken back in the same tick of the clock, while git reads, is not remembered', async (t) => {
  const scene = await makeScene(t)
  const { question, context, ref } = scene
  const id = readFileSync(ref, 'utf8').trim()
  // Young when the clocks stop, however long the scene took to make.
  writeFileSync(ref, `${id}\n`)
  const clock = stopClocks(t)
  freezeStats(t, ref)
  const ask = async (): Promise<string> => (await rememberedLsRefs(context, question, request(''), asker))?.bytes.toString() ?? ''
  scene.onGit = () => {
    writeFileSync(ref, `${'1'.repeat(40)}\n`)
    return { after: () => writeFileSync(ref, `${id}\n`) }
  }
  await ask()
  scene.onGit = () => ({})
  assert.match(await ask(), new RegExp(id), 'at once')
  clock.pass(60_000)
  assert.match(await ask(), new RegExp(id), 'later')
})
