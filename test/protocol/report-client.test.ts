import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { encodePushHead } from '../../lib/protocol/push-head.ts'
import { ReportMerger } from '../../lib/protocol/push-report-merger.ts'
import { movedRefs, PushReportReader } from '../../lib/protocol/report-reader.ts'
import { progressMessage, pushReport, type RefResult } from '../../lib/protocol/report-status.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, type GitResult, tryGit } from '../fixtures/git.ts'
import { makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { type Answering, ask, type Exchanged, headOf, isPush, parse, serve } from './push-scene.ts'

/** What the client is offered: everything, or less. */
const OFFERS: Record<string, string[]> = {
  'version 2': [],
  'version 1': ['report-status-v2'],
  'version 2 without side bands': ['side-band-64k'],
  'version 1 without side bands': ['report-status-v2', 'side-band-64k']
}

interface Scene {
  folder: string
  push: (...refs: string[]) => Promise<GitResult>
}

/** A server that hides capabilities from its advertisement and answers pushes with `answer`. */
async function makeScene (t: TestContext, hidden: readonly string[], answer: (request: Exchanged, folder: string) => Promise<Buffer> | Buffer): Promise<Scene> {
  const folder = await temporaryFolder(t)
  await makeRepository(folder, 'app.git', { commits: 0 })
  const answering: Answering = async (request) => {
    if (isPush(request)) return await answer(request, folder)
    if (hidden.length === 0 || request.method === 'POST') return undefined
    const { body } = await ask(folder, request)
    // As long as before, so that the packet stays one.
    return Buffer.from(hidden.reduce((text, name) => text.replace(name, name.replace(/^../, 'no')), body.toString('latin1')), 'latin1')
  }
  const url = `${await serve(t, folder, answering)}/app.git`
  const copy = await makeWorkingCopy(folder, 'copy')
  return { folder, push: async (...refs) => await tryGit(['push', url, ...refs], { cwd: copy }) }
}

for (const [offer, hidden] of Object.entries(OFFERS)) {
  test(`git prints our report: ${offer}`, async (t) => {
    const refs: RefResult[] = [{ ref: 'refs/heads/main', reason: 'protected branch' }, { ref: 'refs/heads/other', ok: true }]
    let asked: string[] = []
    const { push } = await makeScene(t, hidden, (request) => {
      asked = headOf(request.body).capabilities
      return pushReport({ unpack: 'ok', refs, messages: ['Branches are protected.\nAsk Ann.'] }, asked)
    })
    const { code, stderr } = await push('main', 'main:other')
    assert.equal(code, 1)
    assert.equal(asked.includes('report-status-v2'), !hidden.includes('report-status-v2'))
    assert.match(stderr, /^ ! \[remote rejected\] main -> main \(protected branch\)$/m)
    assert.match(stderr, /^ \* \[new branch\] {6}main -> other$/m)
    const bands = asked.includes('side-band-64k')
    assert.equal(bands, !hidden.includes('side-band-64k'))
    assert.equal(/^remote: Branches are protected\. *\nremote: Ask Ann\. *$/m.test(stderr), bands)
  })

  test(`git prints the refs that we refused and those that it took: ${offer}`, async (t) => {
    let moved: string[] = []
    const { folder, push } = await makeScene(t, hidden, async (request, root) => {
      const parsed = parse(request.body)
      assert.ok(parsed.state === 'complete')
      const { commands, capabilities } = parsed.head
      const kept = commands.filter(({ ref }) => ref !== 'refs/heads/main')
      const head = encodePushHead(parsed.head, kept)
      assert.ok(head !== null)
      const { body } = await ask(root, { ...request, body: Buffer.concat([head, request.body.subarray(parsed.consumed)]) })
      const reader = new PushReportReader(capabilities)
      reader.update(body)
      moved = movedRefs(reader.report, commands).map(({ ref }) => ref)
      const merger = new ReportMerger([{ ref: 'refs/heads/main', reason: 'protected branch' }], capabilities)
      const messages = capabilities.includes('side-band-64k') ? progressMessage('one moment') : Buffer.alloc(0)
      return Buffer.concat([messages, merger.update(body), merger.end()])
    })
    const { code, stderr } = await push('main', 'main:other', 'main:refs/heads/third')
    assert.equal(code, 1)
    assert.match(stderr, /^ ! \[remote rejected\] main -> main \(protected branch\)$/m)
    assert.match(stderr, /^ \* \[new branch\] {6}main -> other$/m)
    assert.deepEqual(moved, ['refs/heads/other', 'refs/heads/third'])
    assert.equal(await git(['for-each-ref', '--format=%(refname:short)'], { cwd: join(folder, 'app.git') }), 'other\nthird')
  })
}

test('no reason makes git believe that the push succeeded', async (t) => {
  const reasons = ['up to date', 'no match', 'fetch first', 'forced update', 'expecting report', '', '"quoted" \\ text', 'ü']
  let next = ''
  const { push } = await makeScene(t, [], (request) => pushReport({ unpack: 'ok', refs: [{ ref: 'refs/heads/main', reason: next }] }, headOf(request.body).capabilities))
  for (const reason of reasons) {
    next = reason
    const { code, stderr } = await push('main')
    assert.equal(code, 1, reason)
    assert.match(stderr, /^ ! \[(remote )?(rejected|failure)\] /m, reason)
  }
})

test('a client without report-status fails on our error', async (t) => {
  const { push } = await makeScene(t, ['report-status-v2', 'report-status'], (request) => pushReport({ unpack: 'ok', refs: [{ ref: 'refs/heads/main', reason: 'protected branch' }] }, headOf(request.body).capabilities))
  const { code, stderr } = await push('main')
  assert.notEqual(code, 0)
  assert.match(stderr, /^remote: refs\/heads\/main: protected branch/m)
})

test('a report of thousands of refs is read by git', async (t) => {
  const { push } = await makeScene(t, [], (request) => {
    const { capabilities, commands } = headOf(request.body)
    return pushReport({ unpack: 'ok', refs: commands.map(({ ref }) => ({ ref, reason: 'no '.repeat(60) })) }, capabilities)
  })
  const { stderr } = await push(...Array.from({ length: 1000 }, (_, i) => `main:branch-${i}`))
  assert.equal(stderr.match(/^ ! \[remote rejected\]/gm)?.length, 1000)
})
