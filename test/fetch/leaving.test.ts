import assert from 'node:assert/strict'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { Agent } from 'node:http'
import { test, type TestContext } from 'node:test'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { gatedGit, type GatedGit } from '../fixtures/gated-git.ts'
import { filed, largeRepository, servePacks, tipOf, type PackScene } from '../fixtures/pack-scene.ts'
import { endOf, openFetch, postFetch, readSome } from '../fixtures/post-fetch.ts'
import { descriptors, eventually, processesAbout, zombies } from '../fixtures/processes.ts'
import { startServer } from '../fixtures/server.ts'
import { gitShim } from '../fixtures/shims.ts'

const MB = 1024 * 1024
/** FACTS of every end: gone within two seconds. */
const LIMIT = 2_000

interface GatedScene extends PackScene { gate: GatedGit, body: Buffer }

/** An answer of 8 MB that stops after the first 6. */
async function gatedScene (t: TestContext, first = 6 * MB): Promise<GatedScene> {
  const gate = await gatedGit(await temporaryFolder(t), first)
  const scene = await servePacks(t, largeRepository(8 * MB), { git: { path: gate.path } })
  return { ...scene, gate, body: fetchV2({ wants: [await tipOf(scene.served)] }) }
}

async function assertNothingLeft ({ app, served, packs }: PackScene): Promise<void> {
  await eventually(async () => (await processesAbout(served)).length === 0, LIMIT, 'git ends')
  await eventually(async () => (await readdir(packs).catch(() => [])).length === 0, LIMIT, 'no file is left')
  await eventually(async () => app.gitHttp.active === 0, LIMIT, 'the operations end')
  await eventually(async () => (await descriptors()).every((target) => !target.startsWith(packs)), LIMIT, 'no file is open')
  assert.deepEqual(await zombies(), [])
}

test('the one who asked first leaves in the middle, and the others get everything', async (t) => {
  const scene = await gatedScene(t)
  const leader = await openFetch(scene.appUrl, scene.body)
  assert.equal(leader.headers['x-git-cache'], 'miss')
  await readSome(leader, MB)
  await scene.gate.reached(1)
  const others = [postFetch(scene.appUrl, scene.body), postFetch(scene.appUrl, scene.body)]
  const third = await openFetch(scene.appUrl, scene.body)
  assert.equal(third.headers['x-git-cache'], 'shared')
  leader.destroy()
  await eventually(async () => scene.app.gitHttp.active === 3, LIMIT, 'the server has noticed')
  await scene.gate.open()
  const [one, two] = await Promise.all(others)
  assert.equal(await endOf(third), 'whole')
  assert.equal(one?.cache, 'shared')
  assert.ok((one?.body.length ?? 0) > 8 * MB && one?.body.equals(two?.body as Buffer))
  assert.equal(await scene.gate.begun(), 1)
})

test('all leave in the middle: git ends, nothing is kept, and the next one starts afresh', async (t) => {
  const scene = await gatedScene(t)
  const clients = await Promise.all(Array.from({ length: 5 }, async () => await openFetch(scene.appUrl, scene.body)))
  await Promise.all(clients.map(async (client) => await readSome(client, MB)))
  await scene.gate.reached(1)
  assert.equal((await readdir(scene.packs)).length, 1)
  for (const client of clients) client.destroy()
  await assertNothingLeft(scene)
  await scene.gate.open()
  const next = await postFetch(scene.appUrl, scene.body)
  assert.equal(next.cache, 'miss')
  assert.ok(next.body.length > 8 * MB)
})

test('all leave before the first byte: git ends', async (t) => {
  const folder = await temporaryFolder(t)
  const path = await gitShim(folder, 'upload-pack', `trap "" TERM; touch ${folder}/counting; while :; do sleep 1; done`)
  const scene = await servePacks(t, largeRepository(1000), { git: { path } })
  const body = fetchV2({ wants: [await tipOf(scene.served)] })
  const left = [new AbortController(), new AbortController()]
  const asked = left.map(async ({ signal }) => await fetch(`${scene.appUrl}/git-upload-pack`, {
    method: 'POST', body, signal, headers: { 'content-type': 'application/x-git-upload-pack-request', 'git-protocol': 'version=2' }
  }).catch((error) => error.name))
  await eventually(async () => (await readdir(folder)).includes('counting') && scene.app.gitHttp.active === 2, 5_000, 'git counts for both')
  for (const one of left) one.abort()
  assert.deepEqual(await Promise.all(asked), ['AbortError', 'AbortError'])
  await assertNothingLeft(scene)
})

test('git is killed in the middle: every connection is destroyed, and the next fetch is right', async (t) => {
  const scene = await gatedScene(t)
  const clients = await Promise.all(Array.from({ length: 5 }, async () => await openFetch(scene.appUrl, scene.body)))
  const ends = clients.map(endOf)
  await scene.gate.reached(1)
  await scene.gate.kill()
  assert.deepEqual(await Promise.all(ends), clients.map(() => 'ECONNRESET'))
  await assertNothingLeft(scene)
  assert.equal(scene.log.filter(({ msg }) => msg === 'git ended with an error').length, 1, 'once, not once per client')
  await scene.gate.open()
  const next = await postFetch(scene.appUrl, scene.body)
  assert.equal(next.cache, 'miss')
  assert.ok(next.body.length > 8 * MB)
  assert.equal(await scene.gate.begun(), 2)
})

for (const [how, end] of [['is killed', 'kill -9 $$'], ['exits with an error', 'exit 1']] as const) {
  test(`git ${how} before its first byte: 500 for all who wait, and the next fetch starts afresh`, async (t) => {
    const folder = await temporaryFolder(t)
    const path = await gitShim(folder, 'upload-pack', `if [ ! -e ${folder}/well ]; then touch ${folder}/begun.$$; while [ ! -e ${folder}/go ]; do sleep 0.02; done; ${end}; fi`)
    const scene = await servePacks(t, largeRepository(1000), { git: { path } })
    const body = fetchV2({ wants: [await tipOf(scene.served)] })
    const asked = Array.from({ length: 4 }, async () => await postFetch(scene.appUrl, body))
    await eventually(async () => scene.app.gitHttp.active === 4 && (await readdir(folder)).some((name) => name.startsWith('begun')), 5_000, 'all wait')
    await writeFile(`${folder}/go`, '')
    for (const { status, body } of await Promise.all(asked)) {
      assert.equal(status, 500)
      assert.match(body.toString(), /^git failed on the server/)
    }
    assert.equal((await readdir(folder)).filter((name) => name.startsWith('begun')).length, 1)
    await assertNothingLeft(scene)
    await writeFile(`${folder}/well`, '')
    const next = await postFetch(scene.appUrl, body)
    assert.deepEqual([next.status, next.cache], [200, 'miss'])
  })
}

test('git cannot be started: 503, and the next fetch starts afresh', async (t) => {
  const folder = await temporaryFolder(t)
  const path = await gitShim(folder, 'nothing', ':')
  const scene = await servePacks(t, largeRepository(1000), { git: { path } })
  const body = fetchV2({ wants: [await tipOf(scene.served)] })
  // The settings are read before.
  assert.equal((await postFetch(scene.appUrl, fetchV2({ wants: [await tipOf(scene.served)], lines: ['deepen 1'] }))).status, 200)
  await rm(path)
  for (const { status, headers } of await Promise.all([postFetch(scene.appUrl, body), postFetch(scene.appUrl, body)])) {
    assert.equal(status, 503)
    assert.match(headers['retry-after'] ?? '', /^\d+$/)
  }
  await gitShim(folder, 'nothing', ':')
  assert.deepEqual([(await postFetch(scene.appUrl, body)).status], [200])
})

test('a slow reader holds no git: it has ended while most of the answer is still to come', async (t) => {
  const scene = await servePacks(t, largeRepository(24 * MB))
  const body = fetchV2({ wants: [await tipOf(scene.served)] })
  const slow = await openFetch(scene.appUrl, body)
  const taken = await readSome(slow, 1000)
  await eventually(async () => (await processesAbout(scene.served)).length === 0, 60_000, 'git ends')
  assert.ok(taken < 2 * MB, `only ${taken} bytes were read`)
  assert.ok(slow.socket.bytesRead < 12 * MB, `only ${slow.socket.bytesRead} bytes came`)
  const other = await postFetch(scene.appUrl, body)
  assert.equal(other.cache, 'shared')
  assert.ok(other.body.length > 24 * MB)
  let rest = 0
  for await (const chunk of slow) rest += (chunk as Buffer).length
  assert.equal(taken + rest, other.body.length)
})

test('a reader that stops meets the idle deadline, and one that is done does not', async (t) => {
  const scene = await servePacks(t, largeRepository(24 * MB), { packs: { minOccurrences: 0 } })
  const body = fetchV2({ wants: [await tipOf(scene.served)] })
  await postFetch(scene.appUrl, body)
  await filed(scene)
  // Another server with the same folder, so that no git has to hurry.
  const impatient = await startServer(t, { root: scene.root, limits: { idleTimeout: 300 }, cache: { packs: { directory: scene.packs, header: true } } })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  const done = await openFetch(`${impatient.url}/app.git`, body, { agent })
  assert.equal(done.headers['x-git-cache'], 'hit')
  const { socket } = done
  assert.equal(await endOf(done), 'whole')

  const stopped = await openFetch(`${impatient.url}/app.git`, body)
  assert.equal(stopped.headers['x-git-cache'], 'hit')
  await readSome(stopped, 1000)
  await eventually(async () => impatient.app.gitHttp.active === 0, 10_000, 'the connection is given up')
  assert.notEqual(await endOf(stopped), 'whole')
  const again = await openFetch(`${impatient.url}/app.git`, body, { agent })
  assert.equal(again.socket, socket, 'the connection that stood still between two requests is there')
  assert.equal(await endOf(again), 'whole')
})
