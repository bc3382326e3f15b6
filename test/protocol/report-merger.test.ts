import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodePacket } from '../../lib/protocol/pkt-line.ts'
import { toBand } from '../../lib/protocol/push-bands.ts'
import { ReportMerger } from '../../lib/protocol/push-report-merger.ts'
import { PushReportReader } from '../../lib/protocol/report-reader.ts'
import { FLUSH, type Line, packets, pieces, sizes } from './push-scene.ts'

const BANDS = ['report-status-v2', 'side-band-64k']
const REFUSED = [{ ref: 'refs/heads/main', reason: 'protected branch' }, { ref: 'refs/tags/v1', reason: 'up to date' }]
const OURS = ['ng refs/heads/main protected branch\n', 'ng refs/tags/v1 up to date.\n']
const LINES: Line[] = ['unpack ok\n', 'ok refs/heads/a\n', 'option refname refs/x\n', 'ng refs/heads/b hook declined\n']
const PROGRESS = encodePacket('\u0002Resolving deltas: 100%\n')
const KEEPALIVE = encodePacket(Buffer.of(1))
const END = packets(FLUSH)

function merge (bytes: Buffer, capabilities: readonly string[], lengths: readonly number[] = []): Buffer {
  const merger = new ReportMerger(REFUSED, capabilities)
  return Buffer.concat([...pieces(bytes, lengths).map((piece) => merger.update(piece)), merger.end()])
}

/** The two kinds of text that a client puts together, and whether a flush came at the end. */
function bands (bytes: Buffer): [string, string, boolean] {
  let [report, text, rest] = ['', '', bytes]
  while (rest.length > 4) {
    const length = Number.parseInt(rest.toString('latin1', 0, 4), 16)
    assert.ok(length > 4)
    const part = rest.toString('utf8', 5, length)
    if (rest[4] === 1) report += part
    else text += part
    rest = rest.subarray(length)
  }
  return [report, text, rest.equals(END)]
}

test('our lines stand before the flush of a plain report', () => {
  assert.deepEqual(merge(packets(...LINES, FLUSH), ['report-status']), packets(...LINES, ...OURS, FLUSH))
  assert.deepEqual(merge(packets('unpack eof\n', FLUSH), ['report-status-v2']), packets('unpack eof\n', ...OURS, FLUSH))
})

test('our lines stand in the report on the first band, and the second goes on as it is', () => {
  const report = packets(...LINES, FLUSH)
  const answer = Buffer.concat([PROGRESS, KEEPALIVE, toBand(1, report), PROGRESS, END])
  assert.deepEqual(merge(answer, BANDS), Buffer.concat([PROGRESS, KEEPALIVE, toBand(1, packets(...LINES, ...OURS, FLUSH)), PROGRESS, END]))
})

test('progress and keepalives do not wait for the report', () => {
  const merger = new ReportMerger(REFUSED, BANDS)
  assert.deepEqual(merger.update(PROGRESS), PROGRESS)
  assert.deepEqual(merger.update(KEEPALIVE), KEEPALIVE)
  assert.deepEqual(merger.update(PROGRESS.subarray(0, 9)), Buffer.alloc(0))
  assert.deepEqual(merger.update(PROGRESS.subarray(9)), PROGRESS)
  const half = toBand(1, packets(...LINES).subarray(0, 20))
  assert.deepEqual(merger.update(half), toBand(1, packets('unpack ok\n')))
  assert.deepEqual(merger.update(PROGRESS), PROGRESS)
})

test('any split of git\'s answer, on the wire and on the band, merges to the same', () => {
  const report = packets(...LINES, FLUSH)
  fc.assert(fc.property(sizes, sizes, (cuts, lengths) => {
    const answer = Buffer.concat([PROGRESS, ...pieces(report, cuts).flatMap((part) => [toBand(1, part), KEEPALIVE]), PROGRESS, END])
    assert.deepEqual(bands(merge(answer, BANDS, lengths)), [packets(...LINES, ...OURS, FLUSH).toString(), 'Resolving deltas: 100%\n'.repeat(2), true])
    assert.deepEqual(merge(report, ['report-status'], lengths), packets(...LINES, ...OURS, FLUSH))
  }))
})

test('thousands of refused refs fill as many packets as they need', () => {
  const refused = Array.from({ length: 4000 }, (_, i) => ({ ref: `refs/heads/${i}`, reason: 'no'.repeat(20) }))
  const merger = new ReportMerger(refused, BANDS)
  const reader = new PushReportReader(BANDS)
  reader.update(merger.update(Buffer.concat([toBand(1, packets(...LINES, FLUSH)), END])))
  assert.equal(reader.report?.refs.length, 4002)
})

test('a client without report-status gets an error on the third band', () => {
  const capabilities = ['side-band-64k']
  assert.deepEqual(merge(Buffer.concat([PROGRESS, END]), capabilities), Buffer.concat([PROGRESS, packets('\u0003refs/heads/main: protected branch; refs/tags/v1: up to date\n'), END]))
  assert.deepEqual(merge(Buffer.from('anything'), []), Buffer.from('anything'))
})

test('an answer that breaks off stays broken', () => {
  const whole = Buffer.concat([PROGRESS, toBand(1, packets(...LINES, FLUSH))])
  for (let length = 0; length < whole.length; length++) {
    const merged = merge(whole.subarray(0, length), BANDS)
    assert.ok(!merged.toString().includes('protected branch') && !merged.toString().endsWith('0000'), String(length))
  }
  for (const lines of [LINES, LINES.slice(0, 1)]) {
    const cut = packets(...lines).subarray(0, -2)
    assert.deepEqual(merge(cut, ['report-status']), cut)
    assert.deepEqual(bands(merge(Buffer.concat([toBand(1, cut), END]), BANDS)), [cut.toString(), '', true])
  }
})

test('what is no answer of git goes on byte for byte', () => {
  const odd: Array<[Buffer, string[]]> = [
    [Buffer.from('fatal: something'), BANDS],
    [Buffer.from('fatal: something'), ['report-status']],
    [packets('\u0002a', { raw: '0001' }, '\u0001b', { raw: '0002zzzz' }), BANDS],
    [packets('unpack ok\n', { raw: '0001' }, 'x', FLUSH), ['report-status']],
    [packets('\u0001000eunpack ok\n0001xx', '\u00010000', FLUSH), BANDS],
    [packets('\u0003fatal\n', FLUSH, 'more'), BANDS]
  ]
  for (const [bytes, capabilities] of odd) assert.deepEqual(merge(bytes, capabilities), bytes, bytes.toString())
})

test('no bytes throw, and none are lost', () => {
  const line = fc.constantFrom<Line>('\u0001000eunpack ok\n', '\u00010000', '\u0001', '\u0002x', FLUSH, { raw: '0001' }, { raw: 'zz' }, 'unpack ok\n')
  const noise = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes))
  const merged = (bytes: Buffer, capabilities: string[], lengths: number[]): Buffer => {
    const merger = new ReportMerger([], capabilities)
    return Buffer.concat([...pieces(bytes, lengths).map((piece) => merger.update(piece)), merger.end()])
  }
  fc.assert(fc.property(fc.array(fc.oneof({ weight: 5, arbitrary: line }, noise.map((bytes) => ({ raw: bytes.toString('latin1') })))), sizes, (lines, lengths) => {
    const bytes = packets(...lines)
    assert.equal(merged(bytes, ['report-status'], lengths).toString().toLowerCase(), bytes.toString().toLowerCase())
    const once = merged(bytes, BANDS, [])
    assert.equal(merged(bytes, BANDS, lengths).length, once.length)
  }), { numRuns: 1000 })
})
