import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodePacket } from '../../lib/protocol/pkt-line.ts'
import { toBand } from '../../lib/protocol/push-bands.ts'
import { type PushReport, PushReportReader, movedRefs } from '../../lib/protocol/report-reader.ts'
import { FLUSH, headOf, type Line, ONE, packets, pieces, sizes, TWO, ZERO } from './push-scene.ts'

const BANDS = ['report-status-v2', 'side-band-64k']

function read (bytes: Buffer, capabilities: readonly string[] = ['report-status-v2'], lengths: readonly number[] = []): PushReport | null {
  const reader = new PushReportReader(capabilities)
  for (const piece of pieces(bytes, lengths)) reader.update(piece)
  return reader.report
}

test('a report of version 1', () => {
  assert.deepEqual(read(packets('unpack ok\n', 'ok refs/heads/ü\n', 'ng refs/heads/b hook declined\n', 'ng refs/heads/c', FLUSH), ['report-status']), {
    unpack: 'ok',
    refs: [
      { ref: 'refs/heads/ü', ok: true, reason: null, updates: [] },
      { ref: 'refs/heads/b', ok: false, reason: 'hook declined', updates: [] },
      { ref: 'refs/heads/c', ok: false, reason: 'failed', updates: [] }
    ]
  })
  assert.deepEqual(read(packets('unpack index-pack abnormal exit\n', FLUSH)), { unpack: 'index-pack abnormal exit', refs: [] })
})

const PROC_RECEIVE = packets('unpack ok\n', 'ok refs/heads/a\n', 'ok refs/for/main\n', 'option refname refs/changes/1/1\n', `option old-oid ${ZERO}\n`, `option new-oid ${ONE}\n`, 'ok refs/for/main\n', 'option refname refs/changes/2/1\n', 'option forced-update\n', 'option to-come x\n', 'ng refs/heads/c no\n', FLUSH)

test('a report of version 2 tells what a hook made of a command', () => {
  const report = read(PROC_RECEIVE)
  assert.deepEqual(report?.refs[1], {
    ref: 'refs/for/main',
    ok: true,
    reason: null,
    updates: [{ ref: 'refs/changes/1/1', old: ZERO, new: ONE, forced: false }, { ref: 'refs/changes/2/1', old: null, new: null, forced: true }]
  })
  const { commands } = headOf(packets(`${ZERO} ${TWO} refs/for/main`, `${ONE} ${TWO} refs/heads/a`, `${ONE} ${TWO} refs/heads/c`, `${ONE} ${TWO} refs/heads/unsaid`, FLUSH))
  assert.deepEqual(movedRefs(report, commands), [
    { old: ZERO, new: ONE, ref: 'refs/changes/1/1', kind: 'create' },
    { old: ZERO, new: TWO, ref: 'refs/changes/2/1', kind: 'create' },
    { old: ONE, new: TWO, ref: 'refs/heads/a', kind: 'update' }
  ])
  assert.deepEqual(movedRefs(null, commands), [])
})

test('on side bands, between progress and keepalives, however it is split', () => {
  const parts = [PROC_RECEIVE.subarray(0, 5), PROC_RECEIVE.subarray(5, 90), PROC_RECEIVE.subarray(90)]
  const answer = Buffer.concat([
    encodePacket('\u0002Resolving deltas\r'), ...parts.flatMap((part) => [encodePacket(Buffer.of(1)), toBand(1, part), encodePacket('\u0002x')]), packets(FLUSH)
  ])
  fc.assert(fc.property(sizes, (lengths) => {
    assert.deepEqual(read(answer, BANDS, lengths), read(PROC_RECEIVE))
    assert.deepEqual(read(PROC_RECEIVE, ['report-status'], lengths), read(PROC_RECEIVE))
  }))
})

test('a report is there with its flush and not before', () => {
  for (let length = 0; length < PROC_RECEIVE.length; length++) assert.equal(read(PROC_RECEIVE.subarray(0, length)), null)
  const banded = Buffer.concat([toBand(1, PROC_RECEIVE), packets(FLUSH)])
  assert.equal(read(banded.subarray(0, -5), BANDS), null)
  assert.notEqual(read(banded.subarray(0, -4), BANDS), null)
})

test('no report is made up', () => {
  const rows: Record<string, [Line[], string[]?]> = {
    'none was asked for': [['unpack ok\n', FLUSH], ['side-band-64k']],
    'nothing before the flush': [[FLUSH]],
    'no unpack line': [['ok refs/heads/a\n', FLUSH]],
    'a word like unpack': [['unpacked ok\n', FLUSH]],
    'an unknown word': [['unpack ok\n', 'yes refs/heads/a\n', FLUSH]],
    'a line without a ref': [['unpack ok\n', 'ok\n', FLUSH]],
    'an option before any ref': [['unpack ok\n', 'option forced-update\n', FLUSH]],
    'an option of a refused ref': [['unpack ok\n', 'ng refs/heads/a b\n', 'option forced-update\n', FLUSH]],
    'a delimiter': [['unpack ok\n', { raw: '0001' }, FLUSH]],
    'no packets': [[{ raw: 'fatal: no' }]],
    'an error on the third band': [['\u0003no\n', FLUSH], BANDS],
    'progress alone': [['\u0002a\n', FLUSH], BANDS],
    'no packets within the band': [['\u0001fatal', FLUSH], BANDS]
  }
  for (const [what, [lines, capabilities]] of Object.entries(rows)) assert.equal(read(packets(...lines), capabilities), null, what)
})

test('a report longer than the bound is given up', () => {
  const short = new PushReportReader(['report-status'], { maxBytes: 60 })
  short.update(packets('unpack ok\n', 'ok refs/heads/a\n', 'ok refs/heads/b\n', FLUSH))
  assert.equal(short.report?.refs.length, 2)
  const long = new PushReportReader(['report-status'], { maxBytes: 60 })
  long.update(packets('unpack ok\n', 'ok refs/heads/a\n', 'ok refs/heads/b\n', 'ok refs/heads/c\n', FLUSH))
  assert.equal(long.report, null)
})

test('no bytes throw', () => {
  const line = fc.constantFrom<Line>('unpack ok\n', 'ok refs/heads/a\n', 'ng refs/heads/a\n', 'option refname x\n', 'option', '\u0001', '\u00010000', '\u0002x', FLUSH, { raw: '0001' }, { raw: 'zz' })
  const noise = fc.uint8Array({ maxLength: 20 }).map((bytes) => ({ raw: Buffer.from(bytes).toString('latin1') }))
  fc.assert(fc.property(fc.array(fc.oneof({ weight: 5, arbitrary: line }, noise)), fc.boolean(), sizes, (lines, bands, lengths) => {
    const capabilities = bands ? BANDS : ['report-status']
    assert.deepEqual(read(packets(...lines), capabilities, lengths), read(packets(...lines), capabilities))
  }), { numRuns: 1000 })
})
