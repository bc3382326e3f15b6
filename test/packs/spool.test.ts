import assert from 'node:assert/strict'
import { setImmediate as nextIteration } from 'node:timers/promises'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { gate } from '../fixtures/gate.ts'
import { MB, openIn, random, until } from './helpers.ts'
import { makeStorage } from './spool-scene.ts'

test('memory holds an answer of up to 4 MiB; a larger one goes to a file', async (t) => {
  const { spool: make, memory } = makeStorage(t, `${await temporaryFolder(t)}/packs`, {})
  const spool = make()
  await spool.write(random(4 * MB))
  assert.deepEqual([spool.file, memory.reserved], [null, 4 * MB])
  await spool.write(random(1))
  assert.ok(await spool.end())
  assert.equal(spool.file?.size, 4 * MB + 1)
  assert.ok(memory.reserved <= MB)
  await spool.fail(new Error('done'))
  assert.equal(memory.reserved, 0)
})

test('many small ones at once share half of the memory; beyond it they go to files, and kept ones make room', async (t) => {
  const { spool: make, memory } = makeStorage(t, `${await temporaryFolder(t)}/packs`, { memory: 10 * MB })
  for (let i = 0; i < 5; i++) memory.keep(String(i), random(2 * MB - 10))
  assert.equal(memory.bytes + memory.reserved <= 10 * MB, true)
  const spools = Array.from({ length: 8 }, make)
  for (const spool of spools) {
    await spool.write(random(MB))
    assert.ok(memory.bytes + memory.reserved <= 10 * MB)
  }
  await Promise.all(spools.map(async (spool) => await spool.end()))
  assert.deepEqual(spools.map(({ file }) => file === null), [true, true, true, true, true, false, false, false])
  assert.ok(memory.bytesOf('4') !== null, 'half of the memory is for what is kept')
  await Promise.all(spools.map(async (spool) => await spool.fail(new Error('done'))))
})

test('a reader at the head reads nothing from the file, a late one does', async (t) => {
  const { spool: make } = makeStorage(t, `${await temporaryFolder(t)}/packs`, { memory: 1 })
  const spool = make()
  const head = spool.read()
  const all = random(8 * MB)
  const read = buffer(head)
  await spool.write(all.subarray(0, MB))
  await until(() => spool.file?.size === MB)
  const { handle } = spool.file ?? assert.fail()
  const reads = t.mock.method(handle, 'read')
  for (let at = MB; at < all.length; at += 65_536) {
    await spool.write(all.subarray(at, at + 65_536))
    await until(() => head.position === spool.size)
  }
  await spool.end()
  assert.ok((await read).equals(all))
  assert.equal(reads.mock.callCount(), 0)
  assert.ok((await buffer(spool.read())).equals(all))
  assert.ok(reads.mock.callCount() >= 7)
  for (const { arguments: read } of reads.mock.calls) assert.ok((read as unknown as [Buffer, number, number])[2] <= MB)
  await spool.fail(new Error('done'))
})

test('the disk sets git\'s pace: no more than the window waits to be written', async (t) => {
  const { spool: make, store } = makeStorage(t, `${await temporaryFolder(t)}/packs`, { memory: 1 })
  const file = await store.directory.create()
  const stuck = gate()
  const append = file.append.bind(file)
  t.mock.method(file, 'append', async (buffers: Buffer[]) => {
    await stuck.opened
    return await append(buffers)
  })
  t.mock.method(store.directory, 'create', async () => file)
  const spool = make()
  let written = 0
  const writing = (async () => {
    for (let i = 0; i < 100; i++) {
      await spool.write(random(65_536))
      written += 65_536
    }
  })()
  for (let i = 0; i < 100; i++) await nextIteration()
  assert.ok(written <= MB + 65_536)
  stuck.open()
  await writing
  assert.ok(await spool.end())
  assert.equal(file.size, 6_553_600)
  await spool.fail(new Error('done'))
})

test('in a broadcast the slowest reader sets the pace, and leaving sets the others free', async (t) => {
  const { spool: make, trouble } = makeStorage(t, `${await temporaryFolder(t)}/packs`, { memory: 1, maxBytes: 1 })
  const spool = make()
  const [fast, stopped] = [spool.read(), spool.read()]
  const read = buffer(fast)
  const all = random(5 * MB)
  let written = 0
  const writing = (async () => {
    for (; written < all.length; written += 65_536) await spool.write(all.subarray(written, written + 65_536))
    return await spool.end()
  })()
  await until(() => trouble.length === 1 && written >= MB - 65_536)
  for (let i = 0; i < 200; i++) await nextIteration()
  assert.ok(written <= MB + 3 * 65_536, `${written}`)
  assert.throws(() => spool.read(), /too late/)
  stopped.destroy()
  assert.equal(await writing, false)
  assert.ok((await read).equals(all))
})

test('file space is given back as soon as no reader needs it', async (t) => {
  const { spool: make, store, trouble } = makeStorage(t, `${await temporaryFolder(t)}/packs`, { memory: 1, maxBytes: 2 * MB })
  const spool = make()
  const reader = spool.read()
  const all = random(4 * MB)
  const writing = (async () => {
    for (let at = 0; at < all.length; at += 65_536) await spool.write(all.subarray(at, at + 65_536))
    return await spool.end()
  })()
  await until(() => trouble.length === 1)
  assert.ok(store.directory.bytes > MB)
  const read = buffer(reader)
  await until(() => reader.position > 3 * MB)
  assert.equal(spool.file, null)
  await until(() => store.directory.bytes === 0)
  assert.equal(await writing, false)
  assert.ok((await read).equals(all))
})

test('a reader that is destroyed leaves the others alone, and closes nothing of theirs', async (t) => {
  const { spool: make } = makeStorage(t, `${await temporaryFolder(t)}/packs`, { memory: 1 })
  const spool = make()
  const all = random(3 * MB)
  const [one, two] = [spool.read(), spool.read()]
  await spool.write(all)
  await spool.end()
  one.once('data', () => one.destroy())
  assert.ok((await buffer(two)).equals(all))
  await spool.fail(new Error('done'))
})

test('a failed spool destroys its readers with the error, and gives back file, descriptor and memory', async (t) => {
  const folder = `${await temporaryFolder(t)}/packs`
  const { spool: make, store, memory } = makeStorage(t, folder, {})
  for (const size of [MB, 6 * MB]) {
    const spool = make()
    const read = [buffer(spool.read()), buffer(spool.read())]
    await spool.write(random(size))
    await spool.started()
    const settled = Promise.allSettled(read)
    await spool.fail(new Error('git died'))
    for (const result of await settled) assert.ok(result.status === 'rejected' && result.reason.message === 'git died')
    await assert.rejects(spool.write(random(1)), /git died/)
  }
  await until(async () => (await openIn(folder)).length === 0)
  assert.equal(store.directory.bytes, 0)
  assert.equal(memory.reserved, 0)
})

test('started() rejects when it fails before the first byte, and resolves when it ends without one', async (t) => {
  const { spool: make } = makeStorage(t, `${await temporaryFolder(t)}/packs`, {})
  const failed = make()
  const started = failed.started()
  failed.fail(new Error('no git'))
  await assert.rejects(started, /no git/)
  const empty = make()
  const begun = empty.started()
  assert.ok(await empty.end())
  await begun
  assert.equal((await buffer(empty.read())).length, 0)
})
