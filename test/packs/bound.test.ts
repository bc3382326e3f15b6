import assert from 'node:assert/strict'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { DirectoryStore } from '../../lib/packs/directory-store.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { KB, keyOf, makeLog, MB, random } from './helpers.ts'

// Small, because what is just being written cannot be seen.
const [CHUNK, CHUNKS, ANSWERS] = [4 * KB, 40, 160]

/** Bytes of all files, also of those that are being written. */
function bytesIn (folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0), 0)
}

for (const [processes, writers] of [[2, 2], [4, 4], [4, 8], [16, 16]] as const) {
  test(`${writers} writers at once to the folder of ${processes} processes hold no more than its bytes, and use most of them`, async (t) => {
    const [directory, maxBytes] = [join(await temporaryFolder(t), 'packs'), 8 * MB]
    const stores = Array.from({ length: writers }, () => new DirectoryStore({ directory, maxBytes, processes }, makeLog()))
    t.after(async () => { for (const store of stores) await store.close() })
    let most = 0
    await Promise.all(stores.map(async (store, i) => {
      for (let n = 0; n < ANSWERS / writers; n++) {
        const read = (): Readable => Readable.from((function * () {
          for (let chunk = 0; chunk < CHUNKS; chunk++) {
            most = Math.max(most, bytesIn(directory))
            yield random(CHUNK)
          }
        })())
        // One for which there is no room is not kept.
        await store.put(keyOf(`${i} ${n}`), { size: CHUNK * CHUNKS, read }).catch(() => {})
      }
    }))
    assert.ok(most <= maxBytes, `${most} of ${maxBytes}`)
    assert.ok(most > maxBytes * 0.8, `only ${most} of ${maxBytes}`)
  })
}
