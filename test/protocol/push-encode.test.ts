import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodePushHead, type PushHead } from '../../lib/protocol/push-head.ts'
import { FLUSH, headOf, ONE, packets, parse, TWO, ZERO } from './push-scene.ts'

const LINES = [`${ZERO} ${ONE} refs/heads/main`, `${ONE} ${TWO} refs/heads/next`, `${TWO} ${ZERO} refs/tags/v1`]
const CAPABILITIES = '\0 report-status side-band-64k push-options'

function encode (head: PushHead, keep: (ref: string) => boolean): Buffer | null {
  return encodePushHead(head, head.commands.filter(({ ref }) => keep(ref)))
}

test('a head of git is encoded to the same bytes', () => {
  const bytes = packets(`shallow ${ONE}\n`, `${LINES[0]}${CAPABILITIES}`, ...LINES.slice(1), FLUSH, 'a', 'b', FLUSH)
  assert.deepEqual(encode(headOf(bytes), () => true), bytes)
  const plain = packets(...LINES, FLUSH)
  assert.deepEqual(encode(headOf(plain), () => true), plain)
})

test('without the first command its capabilities stand behind the next', () => {
  const head = headOf(packets(`${LINES[0]}${CAPABILITIES}`, ...LINES.slice(1), FLUSH, 'a', FLUSH))
  assert.deepEqual(encode(head, (ref) => ref !== 'refs/heads/main'), packets(`${LINES[1]}${CAPABILITIES}`, LINES[2] ?? '', FLUSH, 'a', FLUSH))
})

test('without commands nothing is left to do', () => {
  const head = headOf(packets(`shallow ${ONE}\n`, `${LINES[0]}${CAPABILITIES}`, FLUSH, 'a', FLUSH))
  assert.deepEqual(encode(head, () => false), packets(`shallow ${ONE}\n`, FLUSH))
  assert.deepEqual(encode(headOf(packets(FLUSH)), () => true), packets(FLUSH))
})

test('a certificate goes with all of its commands or not at all', () => {
  const certificate = ['certificate version 0.1\n', 'pusher a\u2028b\n', '\n', `${LINES[0]}\n`, `${LINES[1]}\n`, '-----BEGIN PGP SIGNATURE-----\n', '\n', 'x\n']
  const bytes = packets('push-cert\0 report-status', ...certificate, 'push-cert-end\n', FLUSH)
  assert.deepEqual(encode(headOf(bytes), () => true), bytes)
  assert.equal(encode(headOf(bytes), (ref) => ref === 'refs/heads/main'), null)
  assert.equal(encode(headOf(bytes), () => false), null)
})

test('the longest ref goes behind the longest capabilities', () => {
  const head = headOf(packets(`${LINES[0]}\0${'x'.repeat(32_768)}`, `${ZERO} ${ONE} refs/heads/${'ü'.repeat(2042)}`, FLUSH))
  const bytes = encode(head, (ref) => ref !== 'refs/heads/main')
  assert.equal(parse(bytes ?? Buffer.alloc(0)).state, 'complete')
})

test('what is encoded is read as the same head, with the commands that were kept', () => {
  const [id, name] = [fc.constantFrom(ONE, TWO), fc.stringMatching(/^[a-zé]{1,8}$/)]
  const command = fc.record({ old: fc.oneof(id, fc.constant(ZERO)), new: id, name })
  const commands = fc.uniqueArray(command, { selector: (one) => one.name, minLength: 1, maxLength: 6 })
  fc.assert(fc.property(commands, fc.array(name, { maxLength: 3 }), fc.subarray([' quiet', ' agent=x', ' new=1', ' push-options']), fc.array(id, { maxLength: 2 }), fc.func(fc.boolean()), (list, options, capabilities, shallow, keep) => {
    const asked = capabilities.includes(' push-options')
    const lines = list.map((one, index) => `${one.old} ${one.new} refs/heads/${one.name}${index === 0 ? `\0${capabilities.join('')}` : ''}`)
    const head = headOf(packets(...shallow.map((one) => `shallow ${one}`), ...lines, FLUSH, ...(asked ? [...options, FLUSH] : [])))
    const kept = head.commands.filter(({ ref }) => keep(ref))
    const again = headOf(encodePushHead(head, kept) ?? Buffer.alloc(0))
    assert.deepEqual(again, kept.length > 0 ? { ...head, commands: kept } : { ...again, commands: [], shallow: head.shallow })
  }))
})
