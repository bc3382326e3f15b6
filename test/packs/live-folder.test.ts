/** The folder of the sockets, and what is told through them. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, linkSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { RemoteAnswer, type Ending } from '../../lib/packs/frames.ts'
import { LivePacks, type Made } from '../../lib/packs/live.ts'
import { buryOnceDead, graveOf } from '../../lib/packs/socket-name.ts'
import { Trouble } from '../../lib/packs/trouble.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { keyOf, makeLog, type Log } from './helpers.ts'

const DAY = 86_400

async function open (t: TestContext): Promise<{ live: LivePacks, other: LivePacks, log: Log }> {
  const [packs, log] = [await temporaryFolder(t), makeLog()]
  const [live, other] = [new LivePacks(packs, new Trouble(log)), new LivePacks(packs, new Trouble(log))]
  t.after(async () => {
    await live.close()
    await other.close()
    rmSync(live.directory, { recursive: true, force: true })
  })
  return { live, other, log }
}

function made (ending: Ending): Made {
  return { read: () => Readable.from([Buffer.from('whole')]), ending: Promise.resolve(ending) }
}

const NEVER = new AbortController().signal

for (const [ending, holds, refused] of [['lasting', true, false], ['passing', false, false], ['refused', false, true]] as const) {
  test(`an answer that is ${ending} is so for those who read it elsewhere`, async (t) => {
    const { live, other } = await open(t)
    const lead = await live.begin(keyOf('a'), made(ending), NEVER)
    assert.ok(lead !== null && !(lead instanceof RemoteAnswer))
    const answer = await other.begin(keyOf('a'), made('lasting'), NEVER)
    assert.ok(answer instanceof RemoteAnswer)
    assert.equal(String(await buffer(answer)), 'whole')
    assert.deepEqual([answer.holds, answer.refused], [holds, refused])
    lead.release()
  })
}

test('a folder that others may enter is not used, and the log says so', async (t) => {
  const { live, log } = await open(t)
  mkdirSync(live.directory, { mode: 0o700 })
  chmodSync(live.directory, 0o711)
  assert.equal(await live.begin(keyOf('a'), made('lasting'), NEVER), null)
  assert.match(JSON.stringify(log.lines.map(({ details }) => String((details as { err?: Error }).err?.message))), /not a folder of this user alone/)
})

test('sockets that a process left a day ago are removed, younger ones are not', async (t) => {
  const { live } = await open(t)
  mkdirSync(live.directory, { mode: 0o700 })
  const [old, young] = ['old', 'young'].map((name) => join(live.directory, name)) as [string, string]
  for (const path of [old, young]) writeFileSync(path, '')
  const time = Date.now() / 1000 - DAY - 60
  utimesSync(old, time, time)
  const lead = await live.begin(keyOf('a'), made('lasting'), NEVER)
  assert.deepEqual([existsSync(old), existsSync(young)], [false, true])
  if (lead !== null && !(lead instanceof RemoteAnswer)) lead.release()
})

/** A socket of a process that was killed. */
function deadSocket (path: string): void {
  const { signal } = spawnSync(process.execPath, ['-e', `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`])
  assert.equal(signal, 'SIGKILL')
}

test('who takes a dead one\'s place leaves nothing else in the folder, and nothing at the end', async (t) => {
  const { live, other } = await open(t)
  const release = await live.begin(keyOf('b'), made('lasting'), NEVER)
  deadSocket(join(live.directory, keyOf('a').slice(0, 24)))
  const lead = await other.begin(keyOf('a'), made('lasting'), NEVER)
  assert.ok(lead !== null && !(lead instanceof RemoteAnswer))
  assert.deepEqual(readdirSync(live.directory).sort(), [keyOf('a').slice(0, 24), keyOf('b').slice(0, 24)].sort())
  lead.release()
  assert.deepEqual(readdirSync(live.directory), [keyOf('b').slice(0, 24)])
  assert.ok(release !== null && !(release instanceof RemoteAnswer))
  await live.close()
  await other.close()
  assert.equal(existsSync(live.directory), false)
})

test('a socket that another process is about to remove is left to it', async (t) => {
  const path = join(await temporaryFolder(t), 'one')
  deadSocket(path)
  const grave = graveOf(path)
  linkSync(path, grave)
  await buryOnceDead(path)
  assert.ok(existsSync(path))
  rmSync(grave)
  await buryOnceDead(path)
  assert.ok(!existsSync(path) && !existsSync(grave))
})

test('the socket of one who came meanwhile is not removed with the dead one that it replaces', async (t) => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'one')
  deadSocket(path)
  const buried = buryOnceDead(path)
  rmSync(path)
  const server = createServer().listen(path)
  t.after(() => { server.close() })
  await once(server, 'listening')
  await buried
  assert.deepEqual(readdirSync(folder), ['one'])
})
