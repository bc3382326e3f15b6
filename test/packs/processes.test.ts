import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { LOADER, programPath } from '../fixtures/program.ts'
import { bytesOf, filesIn, keyOf, makeScene, MB, openIn, until } from './helpers.ts'

const PEER = programPath('peer-process', import.meta.url)

async function startPeer (t: TestContext, folder: string, maxBytes = 100 * MB): Promise<ChildProcess> {
  const peer = fork(PEER, [folder, String(maxBytes)], { execArgv: LOADER })
  t.after(async () => {
    if (peer.exitCode !== null || peer.signalCode !== null) return
    peer.kill('SIGKILL')
    await once(peer, 'exit')
  })
  await once(peer, 'message')
  return peer
}

async function tell (peer: ChildProcess, message: object): Promise<Record<string, unknown>> {
  const answered = once(peer, 'message')
  peer.send(message)
  const [answer] = await answered as [Record<string, unknown>]
  return answer
}

test('what one process has kept, another one has as well', async (t) => {
  const folder = join(await temporaryFolder(t), 'packs')
  const { fetch, started } = await makeScene(t, { directory: folder })
  const peer = await startPeer(t, folder)
  assert.deepEqual(await tell(peer, { name: 'a', size: 5 * MB, seed: 7, how: 'whole' }), { cache: 'miss', right: true })
  const answer = await fetch(keyOf('a'), Buffer.alloc(1))
  assert.equal(answer.cache, 'hit')
  assert.ok((await bytesOf(answer)).equals(Buffer.alloc(5 * MB, 7)))
  assert.equal(started.length, 0)
})

test('a process that starts or sweeps leaves what another one is writing', async (t) => {
  const folder = join(await temporaryFolder(t), 'packs')
  const peer = await startPeer(t, folder)
  await tell(peer, { name: 'a', size: 5 * MB, seed: 7, how: 'half' })
  await until(async () => (await filesIn(folder)).temporary.length === 1)
  const { fetch, cache } = await makeScene(t, { directory: folder, minOccurrences: 0, maxBytes: 12 * MB })
  for (const [i, name] of ['b', 'c', 'd'].entries()) {
    await bytesOf(await fetch(keyOf(name), Buffer.alloc(6 * MB)))
    await until(async () => cache.counters.kept === i + 1 && (await openIn(folder)).length === 0)
  }
  assert.equal((await filesIn(folder)).temporary.length, 1)
})

test('the leftovers of a killed process are swept by the next one', async (t) => {
  const folder = join(await temporaryFolder(t), 'packs')
  const peer = await startPeer(t, folder)
  await tell(peer, { name: 'a', size: 5 * MB, seed: 7, how: 'half' })
  await until(async () => (await filesIn(folder)).temporary.length === 1)
  peer.kill('SIGKILL')
  await once(peer, 'exit')
  assert.equal((await filesIn(folder)).temporary.length, 1)
  await makeScene(t, { directory: folder })
  await until(async () => (await filesIn(folder)).temporary.length === 0)
  assert.deepEqual((await filesIn(folder)).entries, [])
})

test('two processes that keep the same and other answers at once stay right and within bounds', async (t) => {
  const folder = join(await temporaryFolder(t), 'packs')
  const maxBytes = 20 * MB
  const peers = await Promise.all([startPeer(t, folder, maxBytes), startPeer(t, folder, maxBytes)])
  for (let round = 0; round < 12; round++) {
    const answers = await Promise.all(peers.map(async (peer, i) =>
      await tell(peer, { name: `${round % 2 === 0 ? 'same' : i} ${round}`, size: 2 * MB, seed: round, how: 'whole' })))
    for (const { right } of answers) assert.ok(right)
    const names = (await filesIn(folder)).entries
    const bytes = names.reduce((sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0), 0)
    assert.ok(bytes <= maxBytes + 2 * maxBytes / 16 + 2 * 1000, `${bytes}`)
  }
  for (const peer of peers) assert.deepEqual(await tell(peer, { name: 'same 10', how: 'read' }), { size: 2 * MB })
})
