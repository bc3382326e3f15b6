import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FLUSH as FLUSH_PACKET, MAX_PACKET_LENGTH } from '../../lib/protocol/pkt-line.ts'
import { PacketReader } from '../../lib/protocol/packet-reader.ts'
import { progressMessage, pushError, pushReport } from '../../lib/protocol/report-status.ts'
import { PushReportReader } from '../../lib/protocol/report-reader.ts'
import { FLUSH, packets } from './push-scene.ts'

const BANDS = ['report-status', 'side-band-64k']
const BOTH = [{ ref: 'refs/heads/a', ok: true as const }, { ref: 'refs/heads/b', reason: 'protected branch' }]
const LINES = ['unpack ok\n', 'ok refs/heads/a\n', 'ng refs/heads/b protected branch\n', FLUSH]

/** Payloads of all packets, a flush as null. */
function payloads (bytes: Buffer): Array<Buffer | null> {
  const reader = new PacketReader()
  const found: Array<Buffer | null> = []
  reader.feed(bytes)
  for (let packet = reader.next(); packet !== null; packet = reader.next()) {
    assert.ok(packet.kind === 'data' || packet.kind === 'flush')
    found.push(packet.kind === 'data' ? packet.payload : null)
  }
  assert.equal(reader.partial.length, 0)
  return found
}

test('a report in the shape that the client asked for', () => {
  const answer = { unpack: 'ok', refs: BOTH, messages: ['one', 'two\nthree\n'] }
  const report = packets(...LINES)
  const messages = [packets('\u0002one\n'), packets('\u0002two\nthree\n')]
  for (const version of ['report-status', 'report-status-v2']) {
    assert.deepEqual(pushReport(answer, [version]), report)
    assert.deepEqual(pushReport(answer, [version, 'side-band-64k']), Buffer.concat([...messages, packets(Buffer.concat([Buffer.of(1), report]), FLUSH)]))
    assert.deepEqual(pushReport({ unpack: 'ok', refs: [] }, [version]), packets('unpack ok\n', FLUSH))
  }
})

test('a client without report-status reads failures on the third band, or nothing', () => {
  assert.deepEqual(pushReport({ unpack: 'ok', refs: BOTH, messages: ['m'] }, ['side-band-64k']), packets('\u0002m\n', '\u0003refs/heads/b: protected branch\n', FLUSH))
  assert.deepEqual(pushReport({ unpack: 'quota', refs: [] }, ['side-band-64k']), packets('\u0003quota\n', FLUSH))
  assert.deepEqual(pushReport({ unpack: 'ok', refs: BOTH.slice(0, 1) }, ['side-band-64k']), packets(FLUSH))
  assert.equal(pushReport({ unpack: 'no', refs: BOTH, messages: ['m'] }, []).length, 0)
})

test('a refused push has a report without refs', () => {
  for (const capabilities of [[], ['report-status'], BANDS, ['side-band-64k']]) {
    assert.deepEqual(pushError('busy', capabilities), pushReport({ unpack: 'busy', refs: [] }, capabilities))
  }
})

test('reasons are one line that no terminal obeys', () => {
  const rows: Array<[string, string]> = [
    ['a\nb', 'a b'], ['a\r\nng refs/heads/x y', 'a ng refs/heads/x y'], ['\u001b[31mred\u001b[0m', '[31mred [0m'], ['\u009b31m', '31m'], ['a\0b', 'a b'],
    ['', 'failed'], ['\n', 'failed'], [' a ', 'a'], ['ü💾', 'ü💾'], ['up to date', 'up to date.'], ['no match', 'no match.'], ['fetch first', 'fetch first']
  ]
  for (const [reason, line] of rows) {
    assert.deepEqual(pushReport({ unpack: 'ok', refs: [{ ref: 'refs/heads/a', reason }] }, ['report-status']), packets('unpack ok\n', `ng refs/heads/a ${line}\n`, FLUSH))
  }
})

test('messages keep their lines and nothing else', () => {
  assert.deepEqual(progressMessage('a\r\nb\u001b[31m\rc\u0085\n\n'), packets('\u0002a\nb [31m c \n'))
  assert.deepEqual(progressMessage(''), packets('\u0002\n'))
})

test('a long report is cut into packets of the largest size, as git does it', () => {
  const refs = Array.from({ length: 5000 }, (_, i) => ({ ref: `refs/heads/${i}`, reason: 'no'.repeat(10) }))
  const found = payloads(pushReport({ unpack: 'ok', refs, messages: ['x'.repeat(100_000)] }, BANDS))
  assert.equal(found.pop(), null)
  assert.deepEqual(found.map((payload) => payload?.[0]), [2, 2, 1, 1, 1, 1])
  assert.deepEqual(found.map((payload) => payload?.length).slice(0, -1).filter((length) => length !== 34_487), [65_516, 65_516, 65_516, 65_516])
  const report = Buffer.concat(found.slice(2).map((payload) => payload?.subarray(1) ?? Buffer.alloc(0)))
  assert.equal(payloads(report).length, refs.length + 2)
})

test('a reason is cut to its packet, not within a character', () => {
  const long = `refs/heads/${'x'.repeat(40_000)}`
  for (const reason of ['ü'.repeat(40_000), '💾'.repeat(40_000), `a${'日'.repeat(40_000)}`]) {
    const [, line] = payloads(pushReport({ unpack: 'ok', refs: [{ ref: long, reason }] }, ['report-status']))
    const text = line?.toString('utf8') ?? ''
    assert.ok(line !== null && line !== undefined && line.length <= MAX_PACKET_LENGTH - 4 && line.length > MAX_PACKET_LENGTH - 8)
    assert.equal(text, `ng ${long} ${reason.slice(0, text.length - long.length - 5)}\n`)
  }
})

test('whatever the texts are, the report is read as it was meant', () => {
  const name = fc.stringMatching(/^refs\/heads\/[a-zü]{1,5}$/)
  const result = fc.oneof(fc.record({ ref: name, ok: fc.constant(true as const) }), fc.record({ ref: name, reason: fc.string({ unit: 'binary' }) }))
  fc.assert(fc.property(fc.string({ unit: 'binary' }), fc.uniqueArray(result, { selector: ({ ref }) => ref }), fc.array(fc.string({ unit: 'binary' })), fc.boolean(), (unpack, refs, messages, bands) => {
    const capabilities = bands ? BANDS : ['report-status']
    const bytes = pushReport({ unpack, refs, messages }, capabilities)
    assert.equal(bytes.toString('latin1', bytes.length - 4), FLUSH_PACKET)
    const reader = new PushReportReader(capabilities)
    reader.update(bytes)
    assert.deepEqual(reader.report?.refs.map(({ ref, ok }) => [ref, ok]), refs.map((one) => [one.ref, 'ok' in one]))
  }))
})
