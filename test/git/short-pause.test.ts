import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { promisify } from 'node:util'
import type { Worker } from 'node:worker_threads'
import { ShortPause } from '../../lib/git/short-pause.ts'
import { LOADER, programUrl } from '../fixtures/program.ts'

async function waited (pause: ShortPause, count = 1): Promise<void> {
  await Promise.all(Array.from({ length: count }, async () => await new Promise<void>((resolve) => pause.wait(resolve))))
}

/** A thread that never says anything. */
function silent (): Worker & { ended: boolean } {
  const thread = Object.assign(new EventEmitter(), { ended: false, ref: () => {}, unref: () => {}, terminate: async () => { thread.ended = true } })
  return thread as never
}

test('everybody is called once, for as long as it is used', async (t) => {
  const pause = new ShortPause()
  t.after(() => pause.close())
  for (let i = 0; i < 200; i++) await waited(pause, 1 + i % 3)
})

test('it can be used again after its end', async () => {
  const pause = new ShortPause()
  for (let i = 0; i < 3; i++) {
    // By the end of these, there is a thread.
    for (let j = 0; j < 40; j++) await waited(pause)
    pause.close()
  }
})

test('a process ends although nobody has ended it', async () => {
  const code = `
    import { ShortPause } from ${JSON.stringify(programUrl('../../lib/git/short-pause', import.meta.url))}
    const pause = new ShortPause()
    for (let i = 0; i < 60; i++) await new Promise((resolve) => pause.wait(resolve))
    console.log('over')`
  const { stdout } = await promisify(execFile)(process.execPath, [...LOADER, '--input-type=module', '-e', code], { timeout: 30_000 })
  assert.equal(stdout, 'over\n')
})

test('its end calls whoever waits, and ends the thread', async () => {
  const thread = silent()
  const pause = new ShortPause(() => thread)
  await waited(pause)
  thread.emit('online')
  const called = waited(pause, 2)
  pause.close()
  await called
  assert.ok(thread.ended)
  assert.deepEqual(thread.eventNames(), ['error'])
})

test('a process that may have no thread waits for timers', async () => {
  let tried = 0
  const pause = new ShortPause(() => {
    tried++
    throw new Error('not permitted')
  })
  await waited(pause, 2)
  await waited(pause)
  assert.equal(tried, 1)
})

for (const event of ['error', 'exit']) {
  test(`a thread that ends by itself (${event}) leaves nobody waiting`, async () => {
    const thread = silent()
    const pause = new ShortPause(() => thread)
    await waited(pause)
    thread.emit('online')
    const called = waited(pause, 2)
    thread.emit(event, new Error('out of memory'))
    await called
    await waited(pause)
  })
}
