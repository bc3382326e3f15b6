import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { git } from '../fixtures/git.ts'
import { A, bytesOf, DELIMITER, FLUSH, parse, type Part, RESPONSE_END } from './fetch-helpers.ts'
import { MALFORMED } from './fetch-malformed.ts'
import { arbitraries, gitTakes, makeScene } from './fetch-reading.ts'

test('git dies of everything that is called malformed', async (t) => {
  const { path } = await makeScene(t)
  const tip = await git(['rev-parse', 'main'], { cwd: path })
  for (const [what, protocol, parts] of MALFORMED) {
    // With a want that git has, so that it is not that one which it dies of.
    const real = parts.map((part) => typeof part === 'string' ? part.replace(A, tip) : part)
    assert.equal(gitTakes(path, protocol, bytesOf(...real)).taken, false, `version ${protocol}: ${what}`)
  }
})

const STRAY: Part[] = [DELIMITER, FLUSH, RESPONSE_END, { raw: '0003' }, { raw: '0004' }, { raw: 'fff1' }, { raw: '00' }, 'command=fetch', 'foo', 'ERR no', 'agent=y', `want ${A.toUpperCase()}`, 'deepen 0', 'deepen-since 0', 'filter foo', 'done', 'want-ref refs/heads/nowhere']

/** What git says of a request that it has understood. */
const REFUSED = /unknown ref|no commits selected for shallow requests/

/** A request with one thing put in, taken out or cut off. */
function broken (whole: fc.Arbitrary<Part[]>): fc.Arbitrary<Buffer> {
  return fc.tuple(whole, fc.nat(), fc.constantFrom(...STRAY), fc.constantFrom('put', 'take', 'cut', 'replace')).map(([parts, where, stray, how]) => {
    if (how === 'cut') return bytesOf(...parts).subarray(0, where % bytesOf(...parts).length)
    const at = where % (parts.length + 1)
    return bytesOf(...parts.toSpliced(at, how === 'put' ? 0 : 1, ...(how === 'take' ? [] : [stray])))
  })
}

for (const format of ['sha1', 'sha256']) {
  for (const protocol of [0, 1, 2] as const) {
    test(`git takes what is complete and dies of what is malformed: version ${protocol}, ${format}`, async (t) => {
      const scene = await makeScene(t, [`--object-format=${format}`])
      const whole = arbitraries(scene, format)[protocol]
      const counts = { complete: 0, malformed: 0, unknown: 0 }
      const agree = (body: Buffer): void => {
        const { state, request } = parse(protocol, body)
        assert.ok(state.state in counts)
        counts[state.state as keyof typeof counts]++
        if (state.state === 'unknown') return
        const { taken, why } = gitTakes(scene.path, protocol, body)
        // Without an object format it is a request to a repository of the other one.
        const refused = REFUSED.test(why) || (request.objectFormat !== format && why.includes('mismatched object format'))
        assert.equal(taken || (state.state === 'complete' && refused), state.state === 'complete', `${state.state}, but git: ${why}\n${body.toString('latin1')}`)
      }
      fc.assert(fc.property(whole.map((parts) => bytesOf(...parts)), agree), { numRuns: 60 })
      assert.ok(counts.complete > 10, JSON.stringify(counts))
      fc.assert(fc.property(broken(whole), agree), { numRuns: 120 })
      assert.ok(counts.malformed > 10, JSON.stringify(counts))
    })
  }
}

test('an object that git does not have is a request all the same', async (t) => {
  const { path } = await makeScene(t)
  const body = bytesOf('command=fetch', DELIMITER, `want ${A}`, FLUSH)
  assert.match(gitTakes(path, 2, body).why, /not our ref/)
  assert.equal(parse(2, body).state.state, 'complete')
  assert.equal(gitTakes(join(path, 'nowhere'), 2, body).taken, false)
})
