import assert from 'node:assert/strict'
import { setImmediate as nextIteration } from 'node:timers/promises'
import { test } from 'node:test'
import fc from 'fast-check'
import type { SpoolReader } from '../../lib/packs/spool-reader.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { KB, MB, random } from './helpers.ts'
import { makeStorage, type Storage } from './spool-scene.ts'

/** Reads so many bytes at a time, with a pause after each. */
async function readSlowly (reader: SpoolReader, pauses: number, stopAfter: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of reader as AsyncIterable<Buffer>) {
    chunks.push(Buffer.from(chunk))
    length += chunk.length
    if (length >= stopAfter) break
    for (let i = 0; i < pauses; i++) await nextIteration()
  }
  return Buffer.concat(chunks)
}

const READER = fc.record({
  joinsAt: fc.double({ min: 0, max: 1, noNaN: true }),
  pauses: fc.integer({ min: 0, max: 5 }),
  leavesAfter: fc.option(fc.integer({ min: 1, max: 3_000_000 }), { nil: Infinity })
})

for (const [what, storage] of [
  ['in memory', {}],
  ['in a file', { memory: 100 * KB }],
  ['in a file that may not grow beyond 1 MiB', { memory: 100 * KB, maxBytes: MB }],
  ['without a file', { memory: 100 * KB, maxBytes: 1 }]
] as Array<[string, Storage]>) {
  test(`whatever the pieces and the speeds, whoever joins and leaves: each who stays gets exactly the bytes, ${what}`, async (t) => {
    const folder = `${await temporaryFolder(t)}/packs`
    const { spool: make, memory, store } = makeStorage(t, folder, storage)
    await fc.assert(fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 30 }),
      fc.array(READER, { minLength: 1, maxLength: 6 }),
      async (pieces, readers) => {
        const all = random(pieces.reduce((sum, piece) => sum + piece, 0))
        const spool = make()
        const reading: Array<Promise<void>> = []
        const join = (progress: number): void => {
          for (const reader of readers.splice(0)) {
            if (reader.joinsAt > progress) {
              readers.push(reader)
              continue
            }
            if (!spool.isJoinable) continue
            reading.push(readSlowly(spool.read(), reader.pauses, reader.leavesAfter).then((bytes) => {
              assert.ok(bytes.equals(all.subarray(0, bytes.length)))
              assert.ok(bytes.length >= Math.min(all.length, reader.leavesAfter))
            }))
          }
        }
        let at = 0
        for (const piece of pieces) {
          join(at / all.length)
          await spool.write(Buffer.from(all.subarray(at, at + piece)))
          at += piece
        }
        const isWhole = await spool.end()
        assert.equal(isWhole, spool.isJoinable)
        join(1)
        await Promise.all(reading)
        await spool.fail(new Error('done'))
        assert.equal(memory.reserved, 0)
        assert.equal(store.directory.bytes, 0)
      }
    ), { numRuns: 60 })
  })
}
