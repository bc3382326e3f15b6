import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Remembered, type Loaded } from '../../lib/repository/remembered.ts'
import { Witness } from '../../lib/repository/witness.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { gate } from '../fixtures/gate.ts'

interface Scene {
  file: string
  /** The number of loads so far. */
  loads (): number
  remembered: Remembered<{ text: string }>
  /** Called in every load, before the file is looked at. */
  onLoad: (load: number) => Promise<void> | void
}

/** A remembered value that is made from the content of a file. */
async function makeScene (t: TestContext, provable = true): Promise<Scene> {
  const file = join(await temporaryFolder(t), 'file')
  writeFileSync(file, 'one')
  let loads = 0
  const load = async (previous: Witness | undefined): Promise<Loaded<{ text: string }>> => {
    loads++
    await scene.onLoad(loads)
    const witness = await Witness.take([[file, 'content']], previous)
    return { value: { text: witness.contentOf(file) }, witness: provable ? witness : null }
  }
  const scene: Scene = { file, loads: () => loads, remembered: new Remembered(load), onLoad: () => {} }
  return scene
}

test('the same object until the file changes, then a new one', async (t) => {
  const { file, loads, remembered } = await makeScene(t)
  const first = await remembered.current()
  assert.equal(first.text, 'one')
  for (let i = 0; i < 10; i++) assert.equal(await remembered.current(), first)
  assert.equal(loads(), 1)
  for (const text of ['two', 'six', 'ten']) {
    writeFileSync(file, text)
    assert.equal((await remembered.current()).text, text)
  }
  assert.equal(loads(), 4)
})

test('a value that nothing can prove is loaded every time', async (t) => {
  const { loads, remembered } = await makeScene(t, false)
  const first = await remembered.current()
  assert.notEqual(await remembered.current(), first)
  assert.equal(loads(), 2)
})

test('the first to ask starts a look, and all who ask in the same turn share the next', async (t) => {
  const scene = await makeScene(t, false)
  const { file, loads, remembered } = scene
  const asked = Array.from({ length: 100 }, async () => await remembered.current())
  writeFileSync(file, 'two')
  asked.push(remembered.current())
  const [, ...shared] = await Promise.all(asked)
  assert.equal(loads(), 2)
  assert.ok(shared.every((value) => value === shared[0] && value.text === 'two'))
})

test('whoever asks after the look began gets a later one, and shares that', async (t) => {
  const scene = await makeScene(t, false)
  const { file, loads, remembered } = scene
  const [begun, finish] = [gate(), gate()]
  let running = 0
  scene.onLoad = async (load) => {
    assert.equal(++running, 1, 'one load at a time')
    begun.open()
    if (load === 1) await finish.opened
    running--
  }
  const early = remembered.current()
  await begun.opened
  const late = Array.from({ length: 50 }, async () => await remembered.current())
  finish.open()
  const first = await early
  writeFileSync(file, 'two')
  const values = await Promise.all(late)
  assert.equal(first.text, 'one')
  assert.equal(loads(), 2)
  assert.ok(values.every((value) => value === values[0] && value !== first))
})

test('a change between the look and the answer is seen by whoever asks after it', async (t) => {
  const scene = await makeScene(t)
  const { file, remembered } = scene
  const asked: Array<Promise<{ text: string }>> = []
  scene.onLoad = (load) => {
    if (load > 5) return
    // A look is under way: what changes now it may or may not see, but the next one must.
    writeFileSync(file, String(load))
    asked.push(remembered.current())
  }
  await remembered.current()
  // Every question may lead to another one.
  for (const [i, question] of asked.entries()) assert.ok(Number((await question).text) >= i + 1)
  scene.onLoad = () => {}
  writeFileSync(file, 'end')
  assert.equal((await remembered.current()).text, 'end')
})

test('a load that fails fails those who wait for it, and the next question tries again', async (t) => {
  const scene = await makeScene(t)
  const { file, loads, remembered } = scene
  scene.onLoad = (load) => { if (load <= 2) throw new Error(`load ${load}`) }
  const both = await Promise.allSettled([remembered.current(), remembered.current()])
  assert.deepEqual(both.map((one) => one.status === 'rejected' && one.reason.message), ['load 1', 'load 2'])
  assert.equal((await remembered.current()).text, 'one')
  assert.equal(loads(), 3)

  scene.onLoad = (load) => { if (load === 4) throw new Error('load 4') }
  writeFileSync(file, 'two')
  await assert.rejects(remembered.current(), /load 4/, 'never the value of before')
  assert.equal((await remembered.current()).text, 'two')
})

test('a question asked during a load that fails gets a load of its own', async (t) => {
  const scene = await makeScene(t)
  const { remembered } = scene
  let later: Promise<{ text: string }> | undefined
  scene.onLoad = (load) => {
    if (load > 1) return
    later = remembered.current()
    throw new Error('load 1')
  }
  await assert.rejects(remembered.current(), /load 1/)
  assert.equal((await later)?.text, 'one')
})
