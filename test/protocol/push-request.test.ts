import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodePacket } from '../../lib/protocol/pkt-line.ts'
import { PushRequestParser } from '../../lib/protocol/push-request.ts'
import { FLUSH, headOf, type Line, ONE, packets, parse, pieces, sizes, TWO, ZERO } from './push-scene.ts'

const CREATE = `${ZERO} ${ONE} refs/heads/main`
const UPDATE = `${ONE} ${TWO} refs/heads/next`
const DELETE = `${TWO} ${ZERO} refs/tags/v1`
const NOTHING = { commands: [], shallow: [], capabilities: [], objectFormat: 'sha1', options: [], certificate: null, agent: null, sessionId: null }
const PACK = Buffer.from('PACK0000')

test('a push of git is understood, up to the byte before its pack', () => {
  const bytes = packets(`shallow ${ONE}`, `shallow ${TWO}`, `${CREATE}\0 report-status-v2 side-band-64k push-options object-format=sha1 agent=git/2.39.5 session-id=a-1 new-thing`, UPDATE, `${DELETE}\n`, FLUSH, 'ci.skip', 'topic=ä b\tc', FLUSH)
  assert.deepEqual(parse(Buffer.concat([bytes, PACK])), {
    state: 'complete',
    consumed: bytes.length,
    head: {
      commands: [
        { old: ZERO, new: ONE, ref: 'refs/heads/main', kind: 'create' },
        { old: ONE, new: TWO, ref: 'refs/heads/next', kind: 'update' },
        { old: TWO, new: ZERO, ref: 'refs/tags/v1', kind: 'delete' }
      ],
      shallow: [ONE, TWO],
      capabilities: ['report-status-v2', 'side-band-64k', 'push-options', 'object-format=sha1', 'agent=git/2.39.5', 'session-id=a-1', 'new-thing'],
      objectFormat: 'sha1',
      options: ['ci.skip', 'topic=ä b\tc'],
      certificate: null,
      agent: 'git/2.39.5',
      sessionId: 'a-1'
    }
  })
})

test('a probe, and a shallow clone with nothing to push, have no commands', () => {
  const long = 'a'.repeat(64)
  assert.deepEqual(parse(Buffer.from('0000')), { state: 'complete', head: NOTHING, consumed: 4 })
  assert.deepEqual(headOf(packets(`shallow ${ONE}`, FLUSH)), { ...NOTHING, shallow: [ONE] })
  assert.deepEqual(headOf(packets(`shallow ${long}\n`, FLUSH, 'an option', FLUSH)), { ...NOTHING, shallow: [long], objectFormat: 'sha256' })
})

test('capabilities are those of the protocol, and those to come', () => {
  const capabilities = (list: string): unknown => headOf(packets(`${CREATE}\0${list}\n`, FLUSH)).capabilities
  assert.deepEqual(headOf(packets(CREATE, FLUSH)).capabilities, [])
  assert.deepEqual(capabilities(''), [])
  assert.deepEqual(capabilities('report-status  quiet '), ['report-status', 'quiet'])
  assert.deepEqual(capabilities(' report-status report-status-v2 atomic ofs-delta delete-refs push-cert=12-ab'), ['report-status', 'report-status-v2', 'atomic', 'ofs-delta', 'delete-refs', 'push-cert=12-ab'])
  assert.deepEqual(capabilities('x=1 x=2 agent='), ['x=1', 'x=2', 'agent='])
  assert.equal(headOf(packets(`${CREATE}\0agent=a=b`, FLUSH)).agent, 'a=b')
  const [from, to] = ['a'.repeat(64), 'b'.repeat(64)]
  const sha256 = headOf(packets(`shallow ${from}`, `${from} ${to} refs/heads/main\0object-format=sha256`, FLUSH))
  assert.deepEqual([sha256.objectFormat, sha256.commands[0]?.new], ['sha256', to])
})

const malformed: Record<string, Line[]> = {
  'a delimiter for the flush': [CREATE, { raw: '0001' }],
  'a response end for the flush': [CREATE, { raw: '0002' }],
  'a delimiter first': [{ raw: '0001' }],
  'a delimiter for the second flush': [`${CREATE}\0push-options`, FLUSH, 'a', { raw: '0001' }],
  'no length': [{ raw: 'zzzz' }],
  'a negative length': [{ raw: '-001' }],
  'a length with a prefix': [{ raw: '0x10' }],
  'a length below a header': [{ raw: '0003' }],
  'a length above the largest packet': [{ raw: 'fff1' }],
  'an empty packet': [{ raw: '0004' }],
  'an empty packet behind a command': [CREATE, { raw: '0004' }, FLUSH],
  'a newline alone': ['\n'],
  'a pack without commands': [{ raw: 'PACK\0\0\0\u0002' }],
  'an error packet, at which git gives up': ['ERR go away', FLUSH],
  'an upper-case new id': [`${ZERO} ${'A'.repeat(40)} refs/heads/main`, FLUSH],
  'an upper-case old id': [`${'A'.repeat(40)} ${ONE} refs/heads/main`, FLUSH],
  'an upper-case shallow id': [`shallow ${'A'.repeat(40)}`, FLUSH],
  'a short id': [`${ZERO} ${ONE.slice(1)} refs/heads/main`, FLUSH],
  'a long id': [`${ZERO} ${ONE}1 refs/heads/main`, FLUSH],
  'ids of SHA-256 without its object format': [`${'0'.repeat(64)} ${'1'.repeat(64)} refs/heads/main`, FLUSH],
  'ids of SHA-1 with the other object format': [`${CREATE}\0object-format=sha256`, FLUSH],
  'ids of two lengths': [`${ZERO} ${'1'.repeat(64)} refs/heads/main\0object-format=sha256`, FLUSH],
  'a shallow id of another length': [`shallow ${'1'.repeat(64)}`, CREATE, FLUSH],
  'shallow ids of two lengths': [`shallow ${ONE}`, `shallow ${'1'.repeat(64)}`, FLUSH],
  'a shallow id of no length': ['shallow 1', FLUSH],
  'text behind a shallow id': [`shallow ${ONE} x`, FLUSH],
  'a shallow line behind a command': [CREATE, `shallow ${ONE}`, FLUSH],
  'a NUL in a shallow line': [`shallow ${ONE}\0atomic`, FLUSH],
  'a NUL on the second line': [CREATE, `${UPDATE}\0atomic`, FLUSH],
  'a NUL on the second line as well': [`${CREATE}\0quiet`, `${UPDATE}\0atomic`, FLUSH],
  'a NUL behind the capabilities': [`${CREATE}\0quiet\0atomic`, FLUSH],
  'a NUL in a push option': [`${CREATE}\0push-options`, FLUSH, 'a\0b', FLUSH],
  'a tab between capabilities, which is a space to git': [`${CREATE}\0quiet\tatomic`, FLUSH],
  'a newline between capabilities': [`${CREATE}\0quiet\natomic`, FLUSH],
  'a capability that is not ASCII': [`${CREATE}\0agent=ü`, FLUSH],
  'a flag with a value, which is set for git': [`${CREATE}\0atomic=no`, FLUSH],
  'a flag with no value behind its =': [`${CREATE}\0push-options=`, FLUSH],
  'a flag given twice': [`${CREATE}\0atomic atomic`, FLUSH],
  'two agents': [`${CREATE}\0agent=a agent=b`, FLUSH],
  'two object formats': [`${CREATE}\0object-format=sha1 object-format=sha256`, FLUSH],
  'an unknown object format': [`${CREATE}\0object-format=md5`, FLUSH],
  'no object format behind its =': [`${CREATE}\0object-format=`, FLUSH],
  'an object format without =': [`${CREATE}\0object-format`, FLUSH],
  'a capability list that leaves no room': [`${CREATE}\0${'x'.repeat(32_769)}`, FLUSH],
  'a command without a ref': [`${ZERO} ${ONE}`, FLUSH],
  'a command with an empty ref': [`${ZERO} ${ONE} `, FLUSH],
  'two spaces': [`${ZERO}  ${ONE} refs/heads/main`, FLUSH],
  'a tab for a space': [`${ZERO}\t${ONE} refs/heads/main`, FLUSH],
  'a space before a command': [` ${CREATE}`, FLUSH],
  'a space behind a ref': [`${CREATE} `, FLUSH],
  'two newlines behind a ref': [`${CREATE}\n\n`, FLUSH],
  'a carriage return behind a ref': [`${CREATE}\r\n`, FLUSH],
  'two commands in one packet': [`${CREATE}\n${UPDATE}`, FLUSH],
  'nothing into nothing': [`${ZERO} ${ZERO} refs/heads/main`, FLUSH],
  'a ref twice': [CREATE, `${ONE} ${TWO} refs/heads/main`, FLUSH],
  'the ref config': [`${ZERO} ${ONE} config`, FLUSH],
  'the ref HEAD': [`${ZERO} ${ONE} HEAD`, FLUSH],
  'a ref beside refs/': [`${ZERO} ${ONE} objects/info/alternates`, FLUSH],
  'a ref that is like refs/': [`${ZERO} ${ONE} Refs/heads/main`, FLUSH],
  'a ref that leaves refs/': [`${ZERO} ${ONE} refs/heads/../../config`, FLUSH],
  'a ref that is a lock': [`${ZERO} ${ONE} refs/heads/main.lock`, FLUSH],
  'a ref with an escape': [`${ZERO} ${ONE} refs/heads/\u001b[31m`, FLUSH],
  'a ref that is not UTF-8': [Buffer.concat([Buffer.from(`${ZERO} ${ONE} refs/heads/`), Buffer.of(0xff)]), FLUSH],
  'a ref with half a surrogate pair': [Buffer.concat([Buffer.from(`${ZERO} ${ONE} refs/heads/`), Buffer.of(0xed, 0xa0, 0x80)]), FLUSH],
  'a ref in more bytes than needed': [Buffer.concat([Buffer.from(`${ZERO} ${ONE} refs/heads/`), Buffer.of(0xc0, 0xaf)]), FLUSH],
  'a ref longer than any path': [`${ZERO} ${ONE} refs/heads/${'x'.repeat(4086)}`, FLUSH],
  'an option that is not UTF-8': [`${CREATE}\0push-options`, FLUSH, Buffer.of(0x61, 0xff), FLUSH],
  'an option with a newline within': [`${CREATE}\0push-options`, FLUSH, 'a\nb', FLUSH],
  'an option with a newline too many': [`${CREATE}\0push-options`, FLUSH, 'a\n\n', FLUSH],
  'an option with an escape': [`${CREATE}\0push-options`, FLUSH, '\u001b[31m', FLUSH],
  'an empty option': [`${CREATE}\0push-options`, FLUSH, '\n', FLUSH],
  'an option that git takes for an error': [`${CREATE}\0push-options`, FLUSH, 'ERR a', FLUSH],
  'something else than a command': ['want 1', FLUSH],
  'a version 2 request': ['command=fetch', FLUSH]
}

for (const [what, lines] of Object.entries(malformed)) {
  test(`outside the grammar: ${what}`, () => {
    const parsed = parse(packets(...lines))
    assert.equal(parsed.state, 'malformed')
    assert.match(parsed.state === 'malformed' ? parsed.reason : '', /^[a-z][\w" ,-]+$/i)
  })
}

test('what may look odd and is right', () => {
  const refs = (...lines: Line[]): string[] => headOf(packets(...lines, FLUSH)).commands.map(({ ref }) => ref)
  const longest = `refs/heads/${'x'.repeat(4085)}`
  assert.deepEqual(refs(`${ZERO} ${ONE} refs/heads/ünï`, `${ZERO} ${ONE} refs/heads/\ufeffx`), ['refs/heads/ünï', 'refs/heads/\ufeffx'])
  assert.deepEqual(refs(`${ZERO} ${ONE} ${longest}`), [longest])
  // Two to git, whatever they look like or the file system makes of them.
  assert.deepEqual(refs(`${ZERO} ${ONE} refs/heads/A`, `${ZERO} ${ONE} refs/heads/a`, `${ZERO} ${ONE} refs/heads/ä`, `${ZERO} ${ONE} refs/heads/a\u0308`).length, 4)
  // git itself answers these, with a line for the ref.
  assert.deepEqual(refs(`${ZERO} ${ONE} refs/stash`, `${ONE} ${ONE} refs/heads/same`), ['refs/stash', 'refs/heads/same'])
  assert.deepEqual(headOf(packets(`${CREATE}\0push-options`, FLUSH, FLUSH)).options, [])
})

const valid = packets(`shallow ${ONE}`, `${CREATE}\0report-status push-options`, UPDATE, FLUSH, 'one', 'two', FLUSH)

test('every part of a head asks for more', () => {
  for (let length = 0; length < valid.length; length++) assert.deepEqual(parse(valid.subarray(0, length)), { state: 'incomplete' })
})

test('any split gives the same answer, and leaves the pack alone', () => {
  const whole = headOf(valid)
  fc.assert(fc.property(sizes, (lengths) => {
    const parser = new PushRequestParser()
    let before = 0
    for (const piece of pieces(Buffer.concat([valid, PACK, PACK]), lengths)) {
      const parsed = parser.push(piece)
      if (parsed.state === 'complete') {
        assert.deepEqual(parsed.head, whole)
        assert.equal(before + parsed.consumed, valid.length)
        return
      }
      assert.equal(parsed.state, 'incomplete')
      before += piece.length
    }
    assert.fail('no end')
  }))
})

test('any bytes have an answer, the same however they are split', () => {
  const line = fc.constantFrom<Line>(CREATE, UPDATE, `${DELETE}\n`, `${CREATE}\0push-options`, `shallow ${ONE}`, 'push-cert\0', 'certificate version 0.1\n', 'push-cert-end\n', '\n', FLUSH, { raw: '0001' }, { raw: '0004' })
  const noise = fc.uint8Array({ maxLength: 40 }).map((bytes) => ({ raw: Buffer.from(bytes).toString('latin1') }))
  fc.assert(fc.property(fc.array(fc.oneof({ weight: 5, arbitrary: line }, noise), { maxLength: 8 }), sizes, (lines, lengths) => {
    const bytes = packets(...lines)
    const whole = parse(bytes)
    const parser = new PushRequestParser()
    let parsed = parser.push(Buffer.alloc(0))
    let consumed = 0
    for (const piece of pieces(bytes, lengths)) {
      const wasOpen = parsed.state === 'incomplete'
      parsed = parser.push(piece)
      if (wasOpen) consumed += parsed.state === 'complete' ? parsed.consumed : piece.length
    }
    if (whole.state === 'complete') assert.equal(consumed, whole.consumed)
    assert.deepEqual({ ...parsed, consumed: 0 }, { ...whole, consumed: 0 })
  }), { numRuns: 2000 })
})

test('after the end the answer stays and nothing is consumed', () => {
  const parser = new PushRequestParser()
  const head = parser.push(valid)
  assert.deepEqual(parser.push(PACK), { ...head, consumed: 0 })
  const refused = new PushRequestParser()
  const reason = refused.push(Buffer.from('0001'))
  assert.deepEqual(refused.push(valid), reason)
})

test('a head of the longest length is read, one byte more is too large', () => {
  const fits = new PushRequestParser({ maxBytes: valid.length })
  assert.equal(fits.push(Buffer.concat([valid, PACK])).state, 'complete')
  const bound = new PushRequestParser({ maxBytes: valid.length - 1 })
  assert.deepEqual(bound.push(valid), { state: 'too-large' })
  assert.deepEqual(bound.push(valid), { state: 'too-large' })
})

test('a packet that would go beyond the bound is not waited for', () => {
  const parser = new PushRequestParser({ maxBytes: 1000 })
  assert.deepEqual(parser.push(Buffer.from('03e9')), { state: 'too-large' })
})

test('commands without end are given up at 3 MiB', () => {
  const parser = new PushRequestParser()
  let sent = 0
  for (let i = 0; ; i++) {
    const line = encodePacket(`${ZERO} ${ONE} refs/heads/${i}`)
    const { state } = parser.push(line)
    sent += line.length
    if (state !== 'incomplete') {
      assert.equal(state, 'too-large')
      break
    }
  }
  assert.ok(sent > 3 * 1024 * 1024 && sent < 3 * 1024 * 1024 + 200, String(sent))
})
