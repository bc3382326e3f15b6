import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parse } from './fetch-helpers.ts'
import { arbitraries, gitTakes, makeScene } from './fetch-reading.ts'
import { mutated } from './mutation.ts'

/** What git says of a request that it has understood, and cannot or will not do. */
const REFUSED = /unknown ref|not our ref|no commits selected for shallow requests|deepen-not is not a ref|ambiguous deepen-not|unable to access sparse blob/

for (const protocol of [0, 1, 2] as const) {
  test(`git takes a changed request that we call complete, and dies of what we call malformed: version ${protocol}`, async (t) => {
    const scene = await makeScene(t)
    const counts = { complete: 0, malformed: 0, unknown: 0 }
    fc.assert(fc.property(mutated(arbitraries(scene, 'sha1')[protocol]), (body) => {
      const { state } = parse(protocol, body)
      assert.ok(state.state in counts)
      counts[state.state as keyof typeof counts]++
      if (state.state === 'unknown') return
      const { taken, why } = gitTakes(scene.path, protocol, body)
      const understood = taken || REFUSED.test(why)
      assert.equal(state.state === 'complete' ? understood : !taken, true, `${state.state}, but git: ${why}\n${body.toString('latin1')}`)
    }), { numRuns: 300 })
    assert.ok(counts.complete > 10 && counts.malformed > 10, JSON.stringify(counts))
  })
}
