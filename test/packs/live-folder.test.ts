/** The folder of the sockets, and what is told through them. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { RemoteAnswer, type Ending } from '../../lib/packs/frames.ts'
import { LivePacks, type Made } from '../../lib/packs/live.ts'
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
