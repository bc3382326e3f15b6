/** Why a repository may use what is idle, up to three quarters: the same traffic under the three rules one could think of. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scene, settle, type Client } from './helpers.ts'

const SLOTS = 8
const RULES = {
  'half, whether idle or not': SLOTS / 2,
  'all that is idle': SLOTS,
  'three quarters of it (the default)': undefined
}

interface Load {
  /** When they ask. */
  at: number
  repository: string
  count: number
  /** How long each holds its slot. */
  hold: number
}

/** Plays the loads; answers how long the slowest of each repository waited, and when all was done. */
async function play (maxPerRepository: number | undefined, loads: Load[]): Promise<{ waits: Record<string, number>, end: number }> {
  const scene = new Scene({ maxConcurrent: SLOTS, queueTimeout: 1_000_000_000, ...(maxPerRepository === undefined ? {} : { maxPerRepository }), maxPerUser: SLOTS })
  const asked = new Map<Client, { at: number, hold: number }>()
  const running = new Map<Client, number>()
  const waits: Record<string, number> = {}
  const coming = [...loads]
  while (coming.length > 0 || asked.size > 0) {
    scene.now = Math.min(coming[0]?.at ?? Infinity, ...running.values())
    while (coming[0]?.at === scene.now) {
      const { at, repository, count, hold } = coming.shift() as Load
      for (const client of scene.flood(count, repository)) asked.set(client, { at, hold })
    }
    for (const [client, end] of running) {
      if (end > scene.now) continue
      running.delete(client)
      asked.delete(client)
      client.slot?.release()
    }
    await settle()
    for (const [client, { at, hold }] of asked) {
      if (client.slot === null || running.has(client)) continue
      running.set(client, scene.now + hold)
      waits[client.repository] = Math.max(waits[client.repository] ?? 0, scene.now - at)
    }
  }
  return { waits, end: scene.now }
}

test('alone, a repository is served by more processes than there are cores, and a rigid half leaves as many slots idle', async () => {
  const [half, all, some] = await Promise.all(Object.values(RULES).map(async (max) => await play(max, [{ at: 0, repository: 'a', count: 48, hold: 10 }])))
  assert.deepEqual([half?.end, all?.end, some?.end], [120, 60, 80])
})

test('beside a flood of short requests, others wait for a moment at most under every rule', async () => {
  const loads = [{ at: 0, repository: 'flooded', count: 400, hold: 10 }, ...[5, 15, 105, 205].map((at) => ({ at, repository: 'other', count: 1, hold: 10 }))]
  for (const [rule, max] of Object.entries(RULES)) {
    const { waits } = await play(max, loads)
    assert.ok((waits['other'] ?? Infinity) <= 10, rule)
    assert.ok((waits['flooded'] ?? 0) > 400, rule)
  }
})

test('beside requests that take for ever, others wait as long where a repository may use all that is idle, and not at all where it may not', async () => {
  const loads = [{ at: 0, repository: 'flooded', count: 20, hold: 3_600_000 }, { at: 1_000, repository: 'other', count: 2, hold: 100 }]
  const [half, all, some] = await Promise.all(Object.values(RULES).map(async (max) => (await play(max, loads)).waits['other']))
  assert.deepEqual([half, all, some], [0, 3_599_000, 0])
})
