import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PushRequestParser } from '../../lib/protocol/push-request.ts'
import { FLUSH, headOf, type Line, ONE, packets, parse, pieces, sizes, TWO, ZERO } from './push-scene.ts'

const CREATE = `${ZERO} ${ONE} refs/heads/main\n`
const OTHER = `${ONE} ${TWO} refs/heads/next\n`
const START = 'push-cert\0 report-status side-band-64k'
const HEADER = ['certificate version 0.1\n', 'pusher Ann Author <ann@example.org> 1700000000 +0000\n', 'pushee http://example.org/app.git\n', 'nonce 1700000000-ab\n']
const SIGNATURE = ['-----BEGIN SSH SIGNATURE-----\n', 'U1NIU0lH\n', '\n', '-----END SSH SIGNATURE-----\n']
const END = 'push-cert-end\n'

test('the commands of a certificate are the commands', () => {
  const head = headOf(packets(`shallow ${ONE}`, START, ...HEADER, '\n', CREATE, OTHER, ...SIGNATURE, END, FLUSH))
  assert.deepEqual(head.commands.map(({ ref, kind }) => `${kind} ${ref}`), ['create refs/heads/main', 'update refs/heads/next'])
  assert.equal(head.certificate, [...HEADER, '\n', CREATE, OTHER, ...SIGNATURE].join(''))
  assert.deepEqual(head.capabilities, ['report-status', 'side-band-64k'])
  assert.deepEqual(head.shallow, [ONE])
})

test('the options are signed as well', () => {
  const asked = [`${START} push-options`, ...HEADER, 'push-option a\n', 'push-option b c\n', '\n', CREATE, ...SIGNATURE, END, FLUSH]
  assert.deepEqual(headOf(packets(...asked, 'a', 'b c\n', FLUSH)).options, ['a', 'b c'])
  for (const options of [[], ['a'], ['b c', 'a'], ['a', 'b'], ['a', 'b c', 'd']]) {
    assert.equal(parse(packets(...asked, ...options, FLUSH)).state, 'malformed', String(options))
  }
})

test('what the header may do without, and every kind of signature', () => {
  const begin = ['PGP SIGNATURE', 'PGP MESSAGE', 'SIGNED MESSAGE', 'SSH SIGNATURE']
  for (const kind of begin) {
    const head = headOf(packets(START, ...HEADER.slice(0, 2), '\n', CREATE, `-----BEGIN ${kind}-----\n`, 'x\n', END, FLUSH))
    assert.equal(head.commands.length, 1, kind)
  }
  assert.equal(headOf(packets('push-cert\0\n', ...HEADER.slice(0, 2), HEADER[3] ?? '', '\n', CREATE, ...SIGNATURE, END, FLUSH)).commands.length, 1)
})

const whole = [START, ...HEADER, '\n', CREATE, ...SIGNATURE, END, FLUSH]
const malformed: Record<string, Line[]> = {
  'commands before it, which git executes too': [CREATE, ...whole],
  'commands behind it': [...whole.slice(0, -1), OTHER, FLUSH],
  'a shallow line behind it': [...whole.slice(0, -1), `shallow ${ONE}`, FLUSH],
  'a second one behind it': [...whole.slice(0, -1), ...whole],
  'one within it': [START, ...HEADER, '\n', START, ...whole],
  'no capabilities': ['push-cert', ...whole.slice(1)],
  'no end, which git lets through': [...whole.slice(0, -2), FLUSH],
  'no flush': [...whole.slice(0, -1), { raw: '0001' }],
  'a delimiter within': [...whole.slice(0, 5), { raw: '0001' }],
  'no lines': [START, END, FLUSH],
  'no version': [START, ...HEADER.slice(1), '\n', CREATE, ...SIGNATURE, END, FLUSH],
  'another version': [START, 'certificate version 0.2\n', ...whole.slice(2)],
  'no pusher': [START, HEADER[0] ?? '', '\n', CREATE, ...SIGNATURE, END, FLUSH],
  'a nonce for a pusher': [START, HEADER[0] ?? '', 'nonce a\n', '\n', CREATE, ...SIGNATURE, END, FLUSH],
  'two pushers': [START, ...HEADER.slice(0, 2), HEADER[1] ?? '', '\n', CREATE, ...SIGNATURE, END, FLUSH],
  'two nonces': [START, ...HEADER, 'nonce b\n', '\n', CREATE, ...SIGNATURE, END, FLUSH],
  'headers in another order': [START, ...HEADER.slice(0, 2), HEADER[3] ?? '', HEADER[2] ?? '', '\n', CREATE, ...SIGNATURE, END, FLUSH],
  'an unknown header': [START, ...HEADER, 'x y\n', '\n', CREATE, ...SIGNATURE, END, FLUSH],
  'commands without a blank line': [START, ...HEADER, CREATE, ...SIGNATURE, END, FLUSH],
  'a second blank line': [START, ...HEADER, '\n', '\n', CREATE, ...SIGNATURE, END, FLUSH],
  'a blank line between commands': [START, ...HEADER, '\n', CREATE, '\n', OTHER, ...SIGNATURE, END, FLUSH],
  'no commands': [START, ...HEADER, '\n', ...SIGNATURE, END, FLUSH],
  'no signature': [START, ...HEADER, '\n', CREATE, END, FLUSH],
  'another signature': [START, ...HEADER, '\n', CREATE, '-----BEGIN SIGNATURE-----\n', END, FLUSH],
  'two signatures, of which git ends the commands at the last': [START, ...HEADER, '\n', CREATE, ...SIGNATURE, OTHER, ...SIGNATURE, END, FLUSH],
  'two lines in one packet': [START, ...HEADER, '\n', CREATE + OTHER, ...SIGNATURE, END, FLUSH],
  'a line in two packets': [START, ...HEADER, '\n', CREATE.slice(0, 50), CREATE.slice(50), ...SIGNATURE, END, FLUSH],
  'an end without a newline': [...whole.slice(0, -2), 'push-cert-end', FLUSH],
  'a line without a newline': [START, ...HEADER, '\n', CREATE.trimEnd(), ...SIGNATURE, END, FLUSH],
  'a NUL in a command, behind which git does not look': [START, ...HEADER, '\n', CREATE.replace('\n', '\0x\n'), ...SIGNATURE, END, FLUSH],
  'a NUL in the signature': [START, ...HEADER, '\n', CREATE, SIGNATURE[0] ?? '', 'a\0b\n', END, FLUSH],
  'an escape in the pusher': [START, HEADER[0] ?? '', 'pusher \u001b[31m\n', '\n', CREATE, ...SIGNATURE, END, FLUSH],
  'a carriage return': [START, ...HEADER, '\n', CREATE.replace('\n', '\r\n'), ...SIGNATURE, END, FLUSH],
  'an upper-case id': [START, ...HEADER, '\n', CREATE.replace(ONE, 'A'.repeat(40)), ...SIGNATURE, END, FLUSH],
  'a funny ref': [START, ...HEADER, '\n', CREATE.replace('refs/heads/main', 'config'), ...SIGNATURE, END, FLUSH],
  'a ref twice': [START, ...HEADER, '\n', CREATE, CREATE, ...SIGNATURE, END, FLUSH],
  'an error packet': [START, ...HEADER, '\n', CREATE, SIGNATURE[0] ?? '', 'ERR x\n', END, FLUSH],
  'bytes that are not UTF-8': [START, HEADER[0] ?? '', Buffer.concat([Buffer.from('pusher '), Buffer.of(0xe4, 0x0a)]), '\n', CREATE, ...SIGNATURE, END, FLUSH],
  'options that were not asked for': [START, ...HEADER, 'push-option a\n', '\n', CREATE, ...SIGNATURE, END, FLUSH]
}

for (const [what, lines] of Object.entries(malformed)) {
  test(`no push certificate: ${what}`, () => assert.equal(parse(packets(...lines)).state, 'malformed'))
}

test('a certificate gives the same head however it is split', () => {
  const bytes = packets(...whole)
  const expected = headOf(bytes)
  fc.assert(fc.property(sizes, (lengths) => {
    const parser = new PushRequestParser()
    const states = pieces(bytes, lengths).map((piece) => parser.push(piece))
    const last = states.pop()
    assert.ok(states.every(({ state }) => state === 'incomplete'))
    assert.deepEqual(last?.state === 'complete' ? last.head : null, expected)
  }))
})
