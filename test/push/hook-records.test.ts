import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HookRecords, type HookRecord } from '../../lib/push/hook-records.ts'

/** Objects like any other. */
const PLAIN = { noNullPrototype: true } as const
const text = (): fc.Arbitrary<string> => fc.string({ unit: 'grapheme' }).map((value) => value.replaceAll('\0', ''))
const id = fc.stringMatching(/^[0-9a-f]{40}$/)
const ref = fc.string({ minLength: 1 }).map((name) => `refs/heads/${name.replace(/[\0\n]/g, '')}`)

const receive = fc.record({
  hook: fc.constantFrom('pre-receive' as const, 'post-receive' as const),
  environment: fc.dictionary(fc.stringMatching(/^GIT_[A-Z0-9_]{1,9}$/), text()).map((entries) => ({ ...entries })),
  commands: fc.array(fc.record({ old: id, new: id, ref }, PLAIN))
}, PLAIN)
const record: fc.Arbitrary<HookRecord> = fc.oneof(
  receive,
  fc.record({ hook: fc.constant('update' as const), ref }, PLAIN),
  fc.record({ hook: fc.constant('begin' as const), name: fc.constantFrom('update', 'proc-receive'), pid: fc.nat() }, PLAIN),
  fc.record({ hook: fc.constant('end' as const) }, PLAIN)
)

/** As the shim writes it. */
function written (record: HookRecord): string {
  if (record.hook === 'end') return 'end\0'
  if (record.hook === 'update') return `update\0${record.ref}\0`
  if (record.hook === 'begin') return `begin\0${record.name}\0${record.pid}\0`
  const environment = Object.entries(record.environment).map(([name, value]) => `${name}=${value}\0`).join('')
  return `${record.hook}\0${environment}\0${record.commands.map((command) => `${command.old} ${command.new} ${command.ref}`).join('\n')}\0`
}

test('records are the same however their bytes arrive', () => {
  fc.assert(fc.property(fc.array(record, { maxLength: 5 }), fc.array(fc.nat({ max: 400 }), { maxLength: 8 }), (records, cuts) => {
    const bytes = Buffer.from(records.map(written).join(''))
    const parser = new HookRecords()
    const ends = [...cuts, bytes.length].sort((a, b) => a - b)
    const found = ends.flatMap((end, i) => parser.push(bytes.subarray(ends[i - 1] ?? 0, end)))
    assert.deepEqual(found, records)
  }))
})

test('every single byte may come alone', () => {
  const environment = { GIT_PUSH_OPTION_0: 'a\nb=c', GIT_PUSH_OPTION_1: '' }
  const records: HookRecord[] = [{ hook: 'pre-receive', environment, commands: [{ old: '1', new: '2', ref: 'refs/heads/ä' }] }, { hook: 'end' }]
  const parser = new HookRecords()
  const found = [...Buffer.from(records.map(written).join(''))].flatMap((byte) => parser.push(Buffer.of(byte)))
  assert.deepEqual(found, records)
})

test('what no shim says is an error, and so is a record without end', () => {
  assert.throws(() => new HookRecords().push(Buffer.from('verdict\0')), /no shim/)
  assert.throws(() => new HookRecords().push(Buffer.from('toString\0')), /no shim/)
  const parser = new HookRecords()
  parser.push(Buffer.from('update\0'))
  assert.throws(() => { for (let i = 0; i < 9; i++) parser.push(Buffer.alloc(1024 * 1024, 'x')) }, /more than/)
})
