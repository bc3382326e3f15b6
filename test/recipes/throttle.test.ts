import assert from 'node:assert/strict'
import { Transform } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'node:test'
import type { GitHttpHooks } from '../../lib/index.ts'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { largeRepository, servePacks, tipOf } from '../fixtures/pack-scene.ts'
import { postFetch } from '../fixtures/post-fetch.ts'

// README: So many bytes per second for each user
const RATE = 4_000_000
/** When the bytes that a user has got so far may have been sent, in milliseconds. */
const busyUntil = new Map<string, number>()

const hooks: GitHttpHooks = {
  transformResponse: (operation, request) => new Transform({
    transform: async (chunk: Buffer, _encoding, callback) => {
      const user = operation.user ?? request.ip
      const now = performance.now()
      const until = Math.max(now, busyUntil.get(user) ?? 0) + chunk.length / RATE * 1_000
      busyUntil.set(user, until)
      await delay(until - now)
      callback(null, chunk)
    }
  })
}

test('recipe: so many bytes per second for each user, over all connections', async (t) => {
  const { appUrl, served } = await servePacks(t, largeRepository(1_000_000), { hooks })
  const body = fetchV2({ wants: [await tipOf(served)], capabilities: ['no-progress'] })
  const began = performance.now()
  const replies = await Promise.all([1, 2].map(async () => await postFetch(appUrl, body)))
  const elapsed = performance.now() - began
  const sent = replies.reduce((sum, { body: { length } }) => sum + length, 0)
  assert.ok(sent > 2_000_000)
  assert.ok(elapsed >= sent / RATE * 1_000 - 5, `${sent} bytes in ${elapsed} ms`)
})
