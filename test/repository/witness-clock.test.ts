import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { type Interest, Witness } from '../../lib/repository/witness.ts'
import { freezeStats, nextTick } from '../fixtures/simulated.ts'
import { makeScene, MINUTE } from './witness-scene.ts'

test('a clock that is set back: a change under a time that was there before shows', async (t) => {
  const { clock, at } = await makeScene(t)
  freezeStats(t, at('file'))
  const witness = await Witness.take([[at('folder'), 'content'], [at('file'), 'content']])
  clock.pass(MINUTE)
  assert.equal(await witness.unchanged(), true)
  clock.set(-MINUTE)
  writeFileSync(at('file'), 'two')
  clock.pass(MINUTE)
  assert.equal(await witness.unchanged(), false)
})

test('a clock that is set back is not forgotten when the look ends early, nor by the witness that follows', async (t) => {
  const { clock, at } = await makeScene(t)
  freezeStats(t, at('file'))
  const trail: Array<[string, Interest]> = [[at('folder'), 'content'], [at('file'), 'content']]
  const witness = await Witness.take(trail)
  clock.pass(MINUTE)
  assert.equal(await witness.unchanged(), true)
  clock.set(-MINUTE)
  writeFileSync(at('folder/new'), '')
  assert.equal(await witness.unchanged(), false)
  const next = await Witness.take(trail, witness)
  writeFileSync(at('file'), 'two')
  clock.pass(MINUTE)
  assert.equal(await next.unchanged(), false)
})

test('a clock that is set forward makes no file old', async (t) => {
  const { clock, at } = await makeScene(t)
  freezeStats(t, at('file'))
  const witness = await Witness.take([[at('file'), 'content']])
  clock.set(60 * MINUTE)
  assert.equal(await witness.unchanged(), true)
  writeFileSync(at('file'), 'two')
  assert.equal(await witness.unchanged(), false)
})

for (const [what, shift] of [['slow', -60 * MINUTE], ['fast', 60 * MINUTE]] as const) {
  test(`a file server whose clock is ${what}: what was first seen just now is young`, async (t) => {
    const { clock, at } = await makeScene(t)
    freezeStats(t, at('file'), shift)
    const witness = await Witness.take([[at('file'), 'content']])
    clock.pass(1_000)
    assert.equal(await witness.unchanged(), true)
    writeFileSync(at('file'), 'two')
    assert.equal(await witness.unchanged(), false)
  })
}

test('a large file counts as changed while it is young, and settles', async (t) => {
  const { clock, at } = await makeScene(t)
  writeFileSync(at('file'), 'x'.repeat(100_000))
  const trail: Array<[string, Interest]> = [[at('file'), 'content']]
  const young = await Witness.take(trail)
  assert.equal(await young.unchanged(), false)
  assert.equal(young.contentOf(at('file')), '')
  clock.pass(1_000)
  assert.equal(await (await Witness.take(trail, young)).unchanged(), false)
  clock.pass(MINUTE)
  const old = await Witness.take(trail, young)
  assert.equal(await old.unchanged(), true)
  nextTick(at('folder'))
  writeFileSync(at('file'), 'y'.repeat(100_000))
  assert.equal(await old.unchanged(), false)
})

test('a large file on a file server whose clock is slow is young as well', async (t) => {
  const { clock, at } = await makeScene(t)
  writeFileSync(at('file'), 'x'.repeat(100_000))
  freezeStats(t, at('file'), -60 * MINUTE)
  const trail: Array<[string, Interest]> = [[at('file'), 'content']]
  const young = await Witness.take(trail)
  clock.pass(1_000)
  writeFileSync(at('file'), 'y'.repeat(100_000))
  assert.equal(await young.unchanged(), false)
  clock.pass(MINUTE)
  assert.equal(await (await Witness.take(trail, young)).unchanged(), true)
})
