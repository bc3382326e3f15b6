import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { indexPack, takeApart } from '../fixtures/fetch-answer.ts'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { git } from '../fixtures/git.ts'
import { filed, largeRepository, loggedUses, servePacks, smallRepository, tipOf } from '../fixtures/pack-scene.ts'
import { postFetch } from '../fixtures/post-fetch.ts'
import { traceGit } from '../fixtures/traced-git.ts'

const MB = 1024 * 1024

for (const [size, make] of [['small', smallRepository], ['large', largeRepository(6 * MB)]] as const) {
  test(`64 identical fetches of a ${size} repository at once start one pack-objects, and each gets all of it`, async (t) => {
    const traced = await traceGit(t)
    const scene = await servePacks(t, make)
    const { served, appUrl } = scene
    const wants = [await tipOf(served)]
    const replies = await Promise.all(Array.from({ length: 64 }, async () => await postFetch(appUrl, fetchV2({ wants }))))
    assert.equal((await traced.started('pack-objects')).length, 1)
    const uses = replies.map(({ cache }) => cache)
    assert.equal(uses.filter((use) => use === 'miss').length, 1)
    // The last may come when a small answer is already kept.
    assert.ok(uses.every((use) => use === 'miss' || use === 'shared' || use === 'hit') && uses.includes('shared'), uses.join())
    for (const { body } of replies) assert.ok(body.equals(replies[0]?.body as Buffer))

    const { pack, progress } = takeApart((replies[63] as { body: Buffer }).body)
    assert.match(progress, /Enumerating objects/, 'progress reaches those who share')
    const sent = await indexPack(pack, { directory: null, shallows: [], partial: false })
    assert.deepEqual(sent, (await git(['rev-list', '--objects', '--no-object-names', 'main'], { cwd: served })).split('\n').sort())

    // It was asked for more than once, so it was kept.
    if (size === 'large') await filed(scene)
    const later = await postFetch(appUrl, fetchV2({ wants }))
    assert.equal(later.cache, 'hit')
    assert.ok(later.body.equals(replies[0]?.body as Buffer))
    assert.equal((await traced.started('pack-objects')).length, 1)
  })
}

for (const version of ['0', '1', '2']) {
  test(`real clones at once in protocol v${version} share one pack-objects, pass fsck, and a later one is a hit`, async (t) => {
    const traced = await traceGit(t)
    const scene = await servePacks(t, largeRepository(6 * MB))
    const { root, served, appUrl } = scene
    const clone = async (name: string): Promise<void> => {
      const into = join(root, `clone-${name}`)
      await git(['-c', `protocol.version=${version}`, 'clone', '--quiet', appUrl, into])
      await git(['fsck', '--strict'], { cwd: into })
      assert.equal(await git(['rev-parse', 'origin/main'], { cwd: into }), await tipOf(served))
    }
    await Promise.all(['one', 'two', 'three', 'four', 'five', 'six'].map(clone))
    await filed(scene)
    await clone('seven')
    const used = await loggedUses(scene, 7)
    assert.equal(used.length, 7)
    assert.equal(used.at(-1), 'hit')
    // Real clients do not all come in the same moment; those that come while the first is made, or once it is kept, cost nothing.
    assert.equal((await traced.started('pack-objects')).length, used.filter((value) => value === 'miss').length)
    assert.ok(used.filter((value) => value === 'miss').length <= 2, used.join())
  })
}

test('the second of two later clones is the first that is kept', async (t) => {
  const traced = await traceGit(t)
  const { served, appUrl } = await servePacks(t, smallRepository)
  const body = fetchV2({ wants: [await tipOf(served)], lines: ['deepen 1'] })
  const seen: Array<string | undefined> = []
  for (let i = 0; i < 4; i++) seen.push((await postFetch(appUrl, body)).cache)
  assert.deepEqual(seen, ['miss', 'miss', 'hit', 'hit'])
  assert.equal((await traced.started('pack-objects')).length, 2)
})

test('a real request that was recorded is a hit for real clients', async (t) => {
  const { root, appUrl } = await servePacks(t, smallRepository)
  const traces: string[] = []
  for (const name of ['one', 'two', 'three']) {
    const trace = join(root, `trace-${name}`)
    await git(['clone', '--quiet', '--depth=1', appUrl, join(root, name)], { env: { GIT_TRACE_CURL: trace, GIT_TRACE_CURL_NO_DATA: '1' } })
    traces.push(/x-git-cache: (\w+)/.exec(await readFile(trace, 'utf8'))?.[1] ?? 'nothing')
    await git(['fsck', '--strict'], { cwd: join(root, name) })
  }
  assert.deepEqual(traces, ['miss', 'miss', 'hit'])
})
