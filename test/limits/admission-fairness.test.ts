import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BusyError } from '../../lib/errors.ts'
import { Scene, settle } from './helpers.ts'

const FOUR = { maxConcurrent: 4, maxPerRepository: 4, maxPerUser: 4 }

test('one repository has its whole share while nobody else asks, and all who come with another one find a slot at once', async () => {
  const scene = new Scene({ maxConcurrent: 8 })
  for (let i = 0; i < 100; i++) scene.ask('flooded', `user ${i}`)
  await settle()
  assert.equal(scene.served.length, 6)
  const other = scene.ask('other', 'ann')
  await settle()
  assert.ok(other.slot)
})

test('where the share is all there is, another repository waits for at most two slots to come back', async () => {
  const scene = new Scene(FOUR)
  for (let i = 0; i < 200; i++) scene.ask('flooded', `user ${i}`)
  await settle()
  for (const round of [1, 2, 3]) {
    const other = scene.ask('other', 'ann')
    const before = scene.served.length
    await scene.release(before - 4)
    await scene.release(before - 3)
    assert.ok(other.slot, `round ${round}`)
  }
})

test('however many wait for it, a flooded repository gets every second slot while another one wants them', async () => {
  const scene = new Scene(FOUR)
  scene.flood(50, 'flooded')
  scene.flood(5, 'other')
  await settle()
  for (let i = 0; i < 12; i++) await scene.release(i)
  assert.deepEqual(scene.since(4).map((name) => name[0]).join(''), 'fofofofofoff')
})

test('within one repository users take turns, and those of one user stay in order', async () => {
  const scene = new Scene({ ...FOUR, maxConcurrent: 1 })
  const ann = scene.flood(4, 'a', 'ann')
  const bob = scene.flood(2, 'a', 'bob')
  await settle()
  for (let i = 0; i < 5; i++) await scene.release(i)
  assert.deepEqual(scene.since(1, 'user'), ['ann', 'bob', 'ann', 'bob', 'ann'])
  assert.deepEqual(scene.served.filter(({ user }) => user === 'ann'), ann)
  assert.deepEqual(scene.served.filter(({ user }) => user === 'bob'), bob)
})

test('who is at a limit is passed over, and holds up nobody else', async () => {
  const scene = new Scene({ maxConcurrent: 4, maxPerRepository: 2, maxPerUser: 2 })
  scene.flood(4, 'a', 'ann')
  scene.flood(2, 'b', 'ann')
  scene.flood(1, 'a', 'bob')
  scene.flood(1, 'c', 'cid')
  const last = scene.ask('b', 'bob')
  await settle()
  assert.deepEqual(scene.served.map(({ repository, user }) => `${repository} ${user}`), ['a ann', 'a ann', 'c cid', 'b bob'])
  assert.ok(last.slot)
  // Ann is below her limit again, and b has room, a has not: bob has to wait for a.
  await scene.release(1)
  assert.deepEqual(scene.since(4), ['a'])
})

test('a user at the limit with requests for very many repositories takes turns as one', async () => {
  const scene = new Scene({ maxConcurrent: 2, maxPerRepository: 2, maxPerUser: 1 })
  for (let i = 0; i < 500; i++) scene.ask(`mirrored ${i}`, 'mirror')
  scene.ask('slow', 'bob')
  const others = ['c', 'd', 'e'].map((name) => scene.ask(name, name))
  const shared = scene.ask('mirrored 400', 'ann')
  await settle()
  // Bob keeps his slot.
  for (const index of [0, 2, 3, 4, 5, 6, 7]) await scene.release(index)
  assert.ok([...others, shared].every(({ slot }) => slot !== null), scene.since(0, 'user').join())
})

test('a repository that only users at their limit wait for is found again, whichever of them is first below it', async () => {
  for (const first of [0, 1]) {
    const scene = new Scene({ maxConcurrent: 3, maxPerRepository: 3, maxPerUser: 1 })
    scene.ask('x', 'ann')
    scene.ask('y', 'bob')
    await settle()
    const waiting = [scene.ask('shared', 'ann'), scene.ask('shared', 'bob')]
    // Somebody asks and is served, so that everybody was looked at.
    scene.ask('z', 'cid')
    await settle()
    await scene.release(2)
    await scene.release(first)
    assert.deepEqual(waiting.map(({ slot }) => slot !== null), [first === 0, first === 1])
    await scene.release(1 - first)
    assert.ok(waiting.every(({ slot }) => slot !== null))
  }
})

test('a flood does not keep others out of a full queue: its last one makes room', async () => {
  const scene = new Scene({ ...FOUR, maxConcurrent: 1, maxQueued: 10 })
  const flood = scene.flood(11, 'flooded', 'ann')
  const other = scene.ask('other', 'bob')
  const neighbour = scene.ask('flooded', 'bob')
  await settle()
  assert.deepEqual(flood.filter(({ error }) => error !== null), flood.slice(-2))
  assert.ok(flood.at(-1)?.error instanceof BusyError)
  assert.equal(other.error, null)
  assert.equal(neighbour.error, null)
  assert.equal(scene.admission.counters.refused, 2)
  assert.equal(scene.admission.counters.queued, 10)
  // The flood itself finds no room, and when all have as many, nobody does.
  const again = scene.ask('flooded', 'ann')
  await settle()
  assert.ok(again.error instanceof BusyError)
})

test('when all who wait have as few, a newcomer pushes nobody out', async () => {
  const scene = new Scene({ ...FOUR, maxConcurrent: 1, maxQueued: 3 })
  for (const name of ['a', 'b', 'c', 'd']) scene.ask(name, name)
  const late = scene.ask('e', 'e')
  await settle()
  assert.ok(late.error instanceof BusyError)
  assert.equal(scene.admission.counters.queued, 3)
})
