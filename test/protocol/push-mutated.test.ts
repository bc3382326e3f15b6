import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Part } from './fetch-helpers.ts'
import { mutated } from './mutation.ts'
import { asSeen, gitReads, makeScene } from './push-reading.ts'
import { FLUSH, ONE, parse, TWO, ZERO } from './push-scene.ts'

const NAMES = ['refs/heads/a', 'refs/heads/b', 'refs/heads/c', 'refs/tags/ü']
const CAPABILITIES = ['report-status', 'report-status-v2', 'side-band-64k', 'quiet', 'atomic', 'push-options', 'object-format=sha1', 'agent=git/2.39.5', 'x-future=1']
const SIGNATURE = ['-----BEGIN SSH SIGNATURE-----\n', 'U1NIU0lH\n', '\n', '-----END SSH SIGNATURE-----\n']
const [options, shallows] = [fc.subarray(['ci.skip', 'title=ä b', '='], { maxLength: 2 }), fc.subarray([`shallow ${ONE}\n`, `shallow ${TWO}`])]

/** Heads as git's own client writes them, plain and signed; the shallow commits are unknown to git. */
function heads ([one, two]: [string, string]): Record<string, fc.Arbitrary<Part[]>> {
  const command = fc.tuple(fc.constantFrom(ZERO, one), fc.constantFrom(one, two)).map((ids) => ids.join(' '))
  const commands = fc.tuple(fc.subarray(NAMES, { minLength: 1, maxLength: 3 }), fc.array(command, { minLength: 3, maxLength: 3 })).map(([names, ids]) => names.map((name, index) => `${ids[index]} ${name}`))
  const behind = (capabilities: string[], sent: string[]): Part[] => capabilities.includes('push-options') ? [FLUSH, ...sent, FLUSH] : [FLUSH]
  return {
    plain: fc.tuple(shallows, commands, fc.subarray(CAPABILITIES), options).map(([shallow, [first = '', ...others], capabilities, sent]) => [
      ...shallow, `${first}\0 ${capabilities.join(' ')}`, ...others, ...behind(capabilities, sent)
    ]),
    signed: fc.tuple(shallows, commands, fc.subarray(CAPABILITIES), options).map(([shallow, list, capabilities, sent]) => {
      const signed = capabilities.includes('push-options') ? sent.map((option) => `push-option ${option}\n`) : []
      return [
        ...shallow, `push-cert\0 ${capabilities.join(' ')}`, 'certificate version 0.1\n', 'pusher Ann <a@b> 1 +0000\n', 'pushee http://localhost/app.git\n', ...signed, '\n',
        ...list.map((line) => `${line}\n`), ...SIGNATURE, 'push-cert-end\n', ...behind(capabilities, sent)
      ]
    })
  }
}

for (const kind of ['plain', 'signed']) {
  test(`git reads a changed head as we do, if we accept it: ${kind}`, async (t) => {
    const scene = await makeScene(t)
    const whole = heads(scene.ids)[kind] ?? assert.fail()
    const counts = { accepted: 0, refused: 0 }
    await fc.assert(fc.asyncProperty(mutated(whole), async (bytes) => {
      const parsed = parse(bytes)
      if (parsed.state !== 'complete') {
        counts.refused++
        return
      }
      const head = bytes.subarray(0, parsed.consumed)
      // Without commands git has nothing to do, and no hook sees anything.
      const expected = parsed.head.commands.length === 0 ? null : asSeen(parsed.head)
      counts.accepted++
      assert.deepEqual(await gitReads(scene, head), expected, head.toString())
    }), { numRuns: 120 })
    assert.ok(counts.accepted > 5 && counts.refused > 20, JSON.stringify(counts))
  })
}
