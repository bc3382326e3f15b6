import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { gatedGit } from '../fixtures/gated-git.ts'
import { git } from '../fixtures/git.ts'
import { loggedUses, servePacks, smallRepository, tipOf } from '../fixtures/pack-scene.ts'
import { endOf, openFetch, postFetch } from '../fixtures/post-fetch.ts'
import { gitShim } from '../fixtures/shims.ts'

test('how the cache was used stands in the log line at the end of the request, and not in the answer by default', async (t) => {
  const scene = await servePacks(t, smallRepository, { packs: { header: undefined } })
  const { served, appUrl, log } = scene
  const wants = [await tipOf(served)]
  const bodies = [fetchV2({ wants }), fetchV2({ wants }), fetchV2({ wants }), fetchV2({ wants, lines: ['surprise'] })]
  for (const body of bodies) assert.equal('x-git-cache' in (await postFetch(appUrl, body)).headers, false)
  assert.deepEqual(await loggedUses(scene, 4), ['miss', 'miss', 'hit', 'bypass'])
  for (const line of log.filter(({ msg }) => msg === 'request completed')) {
    assert.equal(typeof line['reqId'], 'string')
    assert.equal(typeof line['responseTime'], 'number')
    assert.equal((line['res'] as { statusCode: number }).statusCode >= 200, true)
  }
})

test('who shares an answer that is being made says so in the log', async (t) => {
  const gate = await gatedGit(await temporaryFolder(t), 100)
  const scene = await servePacks(t, smallRepository, { git: { path: gate.path } })
  const body = fetchV2({ wants: [await tipOf(scene.served)] })
  const [one, two] = [await openFetch(scene.appUrl, body), await openFetch(scene.appUrl, body)]
  await gate.open()
  assert.deepEqual([await endOf(one), await endOf(two)], ['whole', 'whole'])
  assert.deepEqual((await loggedUses(scene, 2)).sort(), ['miss', 'shared'])
})

test('onFinish learns how the cache was used', async (t) => {
  const uses: unknown[] = []
  const { served, appUrl, app } = await servePacks(t, smallRepository, { hooks: { onFinish: ({ cache }) => { uses.push(cache) } } })
  const wants = [await tipOf(served)]
  for (const lines of [[], [], [], ['surprise']]) await postFetch(appUrl, fetchV2({ wants, lines }))
  await app.close()
  assert.deepEqual(uses, ['miss', 'miss', 'hit', 'bypass'])
})

test('what is no fetch says nothing of the cache', async (t) => {
  const { app, appUrl, log } = await servePacks(t, smallRepository)
  await git(['ls-remote', appUrl])
  await app.close()
  const lines = log.filter(({ msg }) => msg === 'request completed')
  assert.ok(lines.length >= 2)
  for (const line of lines) assert.equal(line['x-git-cache'], undefined)
})

test('without a pack cache each fetch is git\'s, and nothing is said of a cache', async (t) => {
  const { served, appUrl, log } = await servePacks(t, smallRepository, { packs: false })
  const body = fetchV2({ wants: [await tipOf(served)] })
  for (let i = 0; i < 3; i++) {
    const { status, cache } = await postFetch(appUrl, body)
    assert.deepEqual([status, cache], [200, undefined])
  }
  assert.ok(log.every((line) => line['x-git-cache'] === undefined))
})

test('an answer that is always kept is a hit the second time', async (t) => {
  const { served, appUrl } = await servePacks(t, smallRepository, { packs: { minOccurrences: 0 } })
  const body = fetchV2({ wants: [await tipOf(served)] })
  assert.deepEqual([(await postFetch(appUrl, body)).cache, (await postFetch(appUrl, body)).cache], ['miss', 'hit'])
})

test('a fetch that git refuses in words is refused in the log and for onFinish, for all who share it, and without the cache as well', async (t) => {
  for (const packs of [undefined, false] as const) {
    const folder = await temporaryFolder(t)
    // Says something first, so that the test knows who waits for it.
    const path = await gitShim(folder, 'upload-pack', `case "$*" in *-refs*) ;; *) printf 0008wait; while [ ! -e ${folder}/open ]; do sleep 0.02; done;; esac`)
    const ends: unknown[] = []
    const { app, appUrl, served, log } = await servePacks(t, smallRepository, { packs, git: { path }, limits: { maxConcurrent: 16 }, hooks: { onFinish: ({ outcome, cache }) => { ends.push([outcome, cache]) } } })
    const wants = [await tipOf(served)]
    const bodies = [fetchV2({ wants: ['ab'.repeat(20)] }), fetchV2({ wants, lines: ['deepen-since 4000000000'] })]
    const open = []
    for (const body of bodies) for (let i = 0; i < 2; i++) open.push(await openFetch(appUrl, body))
    await writeFile(join(folder, 'open'), '')
    for (const answer of open) assert.match((await buffer(answer)).toString(), /^0008wait(?:0011shallow-info\n)?....ERR /)
    await postFetch(appUrl, fetchV2({ wants }))
    await app.close()
    const uses = packs === false ? [null, null, null, null] : ['miss', 'shared', 'miss', 'shared']
    assert.deepEqual(ends.slice(0, 4).sort(), uses.map((use) => ['refused', use]).sort())
    assert.deepEqual(ends.slice(4), [['completed', packs === false ? null : 'miss']])
    assert.deepEqual(log.filter(({ msg }) => msg === 'git operation').map(({ outcome }) => outcome), ['refused', 'refused', 'refused', 'refused', 'completed'])
    assert.deepEqual(log.filter(({ level }) => Number(level) > 30), [])
  }
})
