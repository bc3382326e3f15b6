import assert from 'node:assert/strict'
import type { Readable } from 'node:stream'
import { test } from 'node:test'
import { StatusEvents } from '../../lib/web/status-events.ts'
import type { StatusSnapshot } from '../../lib/web/index.ts'
import { FakeSource } from './fake-source.ts'

const never = (error: unknown): void => { throw error }
const view = async ({ totals }: StatusSnapshot, rates: { in: number, out: number }): Promise<unknown> => ({ ...totals, rates })

interface Told {
  chunks: string[]
  /** Data of the newest event. */
  newest (): { bytesOut: number, rates: { out: number } }
}

function listen (stream: Readable): Told {
  const chunks: string[] = []
  stream.on('data', (chunk) => { chunks.push(String(chunk)) })
  return { chunks, newest: () => JSON.parse(/^data: (.*)$/m.exec(chunks.at(-1) ?? '')?.[1] ?? 'null') }
}

/** Lets promises settle. */
async function turn (): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise(setImmediate)
}

test('nobody watches: no timer, no snapshot; the last to leave ends both', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const source = new FakeSource()
  const events = new StatusEvents(source, never)
  assert.equal(events.running, false)
  const [one, two] = [events.open(view), events.open(view)] as [Readable, Readable]
  assert.equal(events.running, true)
  const begun = source.snapshots
  t.mock.timers.tick(1_000)
  assert.equal(source.snapshots, begun + 1, 'one snapshot for all')
  one.destroy()
  await turn()
  assert.equal(events.running, true)
  two.destroy()
  await turn()
  assert.deepEqual([events.running, events.listeners], [false, 0])
  t.mock.timers.tick(5_000)
  assert.equal(source.snapshots, begun + 1)
})

test('figures come at once and when they change; between them only a heartbeat', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  let now = 0
  t.mock.method(performance, 'now', () => now)
  const source = new FakeSource()
  const events = new StatusEvents(source, never)
  const stream = events.open(view) as Readable
  const { chunks, newest } = listen(stream)
  await turn()
  assert.equal(newest().bytesOut, 9_800_000_000)
  chunks.length = 0
  const pass = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds; i++) {
      now += 1_000
      t.mock.timers.tick(1_000)
      await turn()
    }
  }
  await pass(14)
  assert.deepEqual(chunks, [])
  await pass(1)
  assert.deepEqual(chunks.splice(0), [':\n\n'])
  source.figures.totals.bytesOut += 5_000
  await pass(1)
  assert.equal(newest().rates.out, 5_000, 'bytes of the second that went by')
  events.close()
})

test('at most 64 watch; the place of one who leaves is free again', async () => {
  const events = new StatusEvents(new FakeSource(), never)
  const streams = Array.from({ length: 64 }, () => events.open(view) as Readable)
  assert.equal(events.open(view), null)
  streams[0]?.destroy()
  await turn()
  assert.notEqual(events.open(view), null)
  events.close()
  assert.equal(events.open(view), null)
})

test('one who does not read gets nothing more, and after a minute is let go', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  let now = 0
  t.mock.method(performance, 'now', () => now)
  const source = new FakeSource()
  const events = new StatusEvents(source, never)
  const stream = events.open(async (snapshot) => ({ filler: 'x'.repeat(100_000), at: snapshot.totals.bytesOut })) as Readable
  await turn()
  const held = stream.readableLength
  for (let i = 0; i < 60; i++) {
    now += 1_000
    source.figures.totals.bytesOut++
    t.mock.timers.tick(1_000)
    await turn()
  }
  assert.equal(stream.readableLength, held)
  assert.equal(stream.destroyed, false)
  now += 1_000
  t.mock.timers.tick(1_000)
  assert.equal(stream.destroyed, true)
})

test('a source that throws is reported, and the next snapshot is tried', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const source = new FakeSource()
  const errors: unknown[] = []
  const events = new StatusEvents(source, (error) => { errors.push(error) })
  const good = source.snapshot.bind(source)
  source.snapshot = () => { throw new Error('no figures') }
  const stream = events.open(view) as Readable
  assert.equal(errors.length, 1)
  source.snapshot = good
  const { newest } = listen(stream)
  t.mock.timers.tick(1_000)
  await turn()
  assert.equal(newest().bytesOut, 9_800_000_000)
  events.close()
})
