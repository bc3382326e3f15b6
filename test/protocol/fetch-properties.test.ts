import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { A, B, bytesOf, C, DELIMITER, FLUSH, LONG_A, parse, type Outcome, type Part, RESPONSE_END, v2 } from './fetch-helpers.ts'
import { MALFORMED } from './fetch-malformed.ts'

for (const [what, protocol, parts, reason] of MALFORMED) {
  test(`malformed, version ${protocol}: ${what}`, () => {
    assert.deepEqual(parse(protocol, bytesOf(...parts)).state, { state: 'malformed', reason })
  })
}

const version = fc.constantFrom<0 | 1 | 2>(0, 1, 2)
const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 })
const word = fc.constantFrom<Part>(
  'command=fetch\n', 'command=ls-refs', 'agent=x', 'agent=y', 'object-format=sha1', 'object-format=sha256', 'server-option=a', DELIMITER, FLUSH, RESPONSE_END,
  `want ${A} ofs-delta filter`, `want ${A} agent=x`, `want ${A}`, `want ${LONG_A}`, `have ${A}\n`, `have ${B}`, `shallow ${C}`, 'deepen 1', 'deepen-since 5', 'deepen-not v1', 'filter blob:none', 'done', 'done\n',
  'thin-pack', 'include-tag', 'want-ref refs/heads/main', 'packfile-uris https', 'foo', 'ERR no', { raw: '0003' }, { raw: '0004' }, { raw: 'fff0' }, { raw: '00' })
const anything = fc.array(fc.oneof({ weight: 9, arbitrary: word }, fc.uint8Array({ maxLength: 9 }).map((bytes): Part => ({ raw: Buffer.from(bytes).toString('latin1') }))), { maxLength: 12 })
const someWords = fc.array(word, { maxLength: 8 })
const likely = fc.oneof(
  someWords.map((parts) => v2(...parts)),
  someWords.map((parts) => [`want ${A} ofs-delta filter`, ...parts, 'done']),
  fc.tuple(someWords, someWords).map(([needs, haves]) => [`want ${A}`, ...needs, FLUSH, ...haves]),
  anything
)

test('however a request is split, it is the same', () => {
  const seen = new Map<string, number>()
  fc.assert(fc.property(version, likely, sizes, fc.option(fc.integer({ min: 0, max: 300 }), { nil: undefined }), (protocol, parts, pieces, limit) => {
    const body = bytesOf(...parts)
    const whole = parse(protocol, body, [], limit)
    assert.deepEqual(parse(protocol, body, pieces, limit), whole)
    assert.deepEqual(parse(protocol, body, [1], limit), whole)
    seen.set(whole.state.state, (seen.get(whole.state.state) ?? 0) + 1)
  }), { numRuns: 3_000 })
  for (const state of ['complete', 'unknown', 'malformed', 'too-large']) assert.ok((seen.get(state) ?? 0) > 20, `${state}: ${seen.get(state)}`)
})

test('any bytes have an outcome, and are never a request by chance', () => {
  fc.assert(fc.property(version, fc.uint8Array({ maxLength: 300 }), (protocol, bytes) => {
    assert.ok(['unknown', 'malformed'].includes(parse(protocol, Buffer.from(bytes)).state.state))
  }), { numRuns: 2_000 })
})

test('a complete request that stops short or goes on is not complete', () => {
  fc.assert(fc.property(version, likely, (protocol, parts) => {
    const body = bytesOf(...parts)
    const { open } = parse(protocol, body)
    if (open.state !== 'complete') return
    assert.equal(parse(protocol, Buffer.concat([body, Buffer.from('0000')])).state.state, 'unknown')
    for (let length = 0; length < body.length; length++) assert.notEqual(parse(protocol, body.subarray(0, length)).open.state, 'complete')
  }), { numRuns: 1_000 })
})

const id = fc.constantFrom(...['1', '2', '3', '4', '5', '6'].map((digit) => digit.repeat(40)))
const ids = fc.array(id, { maxLength: 5 })
const wants = fc.array(id, { minLength: 1, maxLength: 5 })
const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined })
const filter = optional(fc.constantFrom('blob:none', 'tree:0', 'sparse:oid=main:x'))
const BOUNDS: string[][] = [[], ['deepen 1'], ['deepen 2'], ['deepen-since 1'], ['deepen-not a'], ['deepen-not a', 'deepen-not b'], ['deepen-since 1', 'deepen-not a']]
const bound = fc.constantFrom(...BOUNDS)
const booleans2 = fc.subarray(['done', 'thin-pack', 'no-progress', 'include-tag', 'ofs-delta', 'deepen-relative', 'sideband-all', 'wait-for-done'])
const booleans0 = fc.subarray(['multi_ack', 'multi_ack_detailed', 'no-done', 'thin-pack', 'side-band-64k', 'ofs-delta', 'no-progress', 'include-tag', 'deepen-relative'])

/** What a request means, apart from how it is written. */
interface Meaning { format: number, wants: string[], wantRefs: string[], haves: string[], shallows: string[], bound: string[], filter: string | undefined, booleans: string[], done: boolean }

const meaning2: fc.Arbitrary<Meaning> = fc.record({
  format: fc.constantFrom(40, 64), wants, wantRefs: fc.subarray(['a', 'b', 'c']), haves: ids, shallows: ids, bound, filter, booleans: booleans2, done: fc.constant(false)
})
const meaning0: fc.Arbitrary<Meaning> = fc.record({
  format: fc.constantFrom(40, 64), wants, wantRefs: fc.constant([]), haves: fc.constant([]), shallows: ids, bound, filter, booleans: booleans0, done: fc.boolean()
})

/** One way to write it: `order` permutes what has no order, `agent` and `end` of line are the client's. */
interface Style { shuffle: <T>(list: T[]) => T[], agent: string | undefined, session: string | undefined, end: string, named: boolean, repeat: boolean }

const style: fc.Arbitrary<Style> = fc.record({
  shuffle: fc.infiniteStream(fc.nat()).map((stream) => <T>(list: T[]): T[] => {
    const keyed = list.map((item): [number, T] => [stream.next().value, item])
    return keyed.sort(([left], [right]) => left - right).map(([, item]) => item)
  }),
  agent: optional(fc.constantFrom('git/2.39.5', 'JGit/6')),
  session: optional(fc.constantFrom('s', 't')),
  end: fc.constantFrom('', '\n'),
  named: fc.boolean(),
  repeat: fc.boolean()
})

const wide = (name: string, format: number): string => name.padEnd(format, name)
const present = (...parts: Array<string | false | undefined>): string[] => parts.filter((part): part is string => typeof part === 'string')

function write2 ({ format, wants, wantRefs, haves, shallows, bound, filter, booleans }: Meaning, { shuffle, agent, session, end, named, repeat }: Style): Buffer {
  const capabilities = present(agent !== undefined && `agent=${agent}`, session !== undefined && `session-id=${session}`, (named || format === 64) && `object-format=${format === 64 ? 'sha256' : 'sha1'}`)
  const sorted = shuffle([...wants, ...(repeat ? wants : [])].map((name) => `want ${wide(name, format)}`).concat(shallows.map((name) => `shallow ${wide(name, format)}`), booleans, present(filter !== undefined && `filter ${filter}`)))
  const rest = [...bound, ...wantRefs.map((name) => `want-ref ${name}`), ...haves.map((name) => `have ${wide(name, format)}`)]
  return bytesOf(...shuffle(['command=fetch', ...capabilities]).map((line) => line + end), DELIMITER, ...[...sorted, ...rest].map((line) => line + end), FLUSH)
}

function write0 ({ format, wants, shallows, bound, filter, booleans, done }: Meaning, { shuffle, agent, session, end, named, repeat }: Style): Buffer {
  const capabilities = present(agent !== undefined && `agent=${agent}`, session !== undefined && `session-id=${session}`, named && `object-format=${format === 64 ? 'sha256' : 'sha1'}`, filter !== undefined && 'filter')
  const [first = '', ...others] = shuffle([...wants, ...(repeat ? wants : [])]).map((name) => `want ${wide(name, format)}`)
  const lines = shuffle([...others, ...shallows.map((name) => `shallow ${wide(name, format)}`), ...present(filter !== undefined && `filter ${filter}`)])
  return bytesOf(`${[first, ...shuffle([...booleans, ...capabilities])].join(' ')}${end}`, ...[...lines, ...bound].map((line) => line + end), FLUSH, ...(done ? [`done${end}`] : []))
}

/** What is the same for two meanings exactly when their answers must be. */
function essence ({ wants, shallows, booleans, ...rest }: Meaning): string {
  return JSON.stringify([...[wants, shallows, booleans].map((list) => [...new Set(list)].sort()), rest])
}

const digestOf = ({ state, digest }: Outcome): string => {
  assert.equal(state.state, 'complete')
  assert.match(digest ?? 'none', /^[0-9a-f]{64}$/)
  return digest ?? ''
}

for (const [name, protocol, meaning, write] of [['v2', 2, meaning2, write2], ['v0', 0, meaning0, write0], ['v1', 1, meaning0, write0]] as const) {
  test(`${name}: the key is the same whatever the order, the line ends, the agent, the session and repeated wants`, () => {
    fc.assert(fc.property(meaning, style, style, (what, one, other) => {
      assert.equal(digestOf(parse(protocol, write(what, one))), digestOf(parse(protocol, write(what, other))))
    }), { numRuns: 1_000 })
  })

  test(`${name}: the key differs for anything else`, () => {
    const keys = new Map<string, string>()
    fc.assert(fc.property(meaning, style, (what, how) => {
      const key = digestOf(parse(protocol, write(what, how)))
      assert.equal(keys.get(key) ?? essence(what), essence(what))
      keys.set(key, essence(what))
    }), { numRuns: 2_000 })
    // Two that differ in one thing only.
    fc.assert(fc.property(meaning, meaning, style, (what, donor, how) => {
      for (const field of Object.keys(what) as Array<keyof Meaning>) {
        const changed = { ...what, [field]: donor[field] }
        const same = digestOf(parse(protocol, write(what, how))) === digestOf(parse(protocol, write(changed, how)))
        assert.equal(same, essence(what) === essence(changed), field)
      }
    }), { numRuns: 500 })
  })
}

test('versions have different keys', () => {
  const clone = bytesOf(`want ${A}`, FLUSH, 'done')
  assert.notEqual(digestOf(parse(0, clone)), digestOf(parse(1, clone)))
})

test('what must not be remembered has no key', () => {
  const rows: Array<[0 | 2, Part[]]> = [
    [2, ['command=fetch', 'server-option=x', DELIMITER, `want ${A}`, FLUSH]],
    [2, v2('packfile-uris https', `want ${A}`)],
    [2, v2('wait-for-done', `have ${A}`)],
    [2, v2()],
    [2, [FLUSH]],
    [0, [FLUSH]],
    [0, [`want ${A}`, FLUSH, FLUSH]],
    [0, [`want ${A}`, FLUSH, `have ${A}`, FLUSH]],
    [0, [`want ${A}`, FLUSH, `have ${A}`, 'done']]
  ]
  for (const [protocol, parts] of rows) {
    const { state, digest } = parse(protocol, bytesOf(...parts))
    assert.deepEqual([state.state, digest], ['complete', null])
  }
})

test('what an answer depends on beside its request', () => {
  const rows: Array<[string, 0 | 1 | 2, Part[]]> = [
    ['nothing', 2, v2(`want ${A}`, 'deepen 1', 'filter combine:blob:none+tree:1', 'thin-pack', 'ofs-delta', 'no-progress', 'done')],
    ['nothing', 2, v2(`want ${A}`, 'deepen-since 1')],
    ['tags', 2, v2(`want ${A}`, 'include-tag')],
    ['refs', 2, v2(`want ${A}`, 'want-ref refs/heads/main')],
    ['refs', 2, v2(`want ${A}`, 'deepen-not v1', 'include-tag')],
    ['refs', 2, v2(`want ${A}`, 'deepen-relative', 'deepen 1')],
    ['refs', 2, v2(`want ${A}`, 'filter sparse:oid=main:sparse')],
    ['refs', 2, v2(`want ${A}`, `have ${B}`)],
    ['refs', 2, v2(`want ${A}`, `shallow ${B}`)],
    ['refs', 1, [`want ${A}`, FLUSH, 'done']],
    ['refs', 0, [`want ${A} include-tag`, FLUSH, 'done']]
  ]
  for (const [expected, protocol, parts] of rows) assert.equal(parse(protocol, bytesOf(...parts)).dependsOn, expected)
})
