import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FetchRequest, FetchRequestParser as Parser, type ParseState } from '../../lib/protocol/fetch-request.ts'
import { A, B, bytesOf, C, DELIMITER, FLUSH, LONG_A, LONG_B, parse, type Part, RESPONSE_END, v2 } from './fetch-helpers.ts'

const NOTHING: FetchRequest = {
  protocol: 2,
  objectFormat: 'sha1',
  wants: [],
  wantRefs: [],
  haves: 0,
  shallows: 0,
  done: false,
  depth: undefined,
  deepenSince: undefined,
  deepenNot: [],
  deepenRelative: false,
  filter: undefined,
  capabilities: [],
  agent: undefined,
  sessionId: undefined,
  serverOptions: []
}

function state (protocol: 0 | 1 | 2, parts: Part[]): string {
  return parse(protocol, bytesOf(...parts)).state.state
}

test('every part of a v2 request is read', () => {
  const body = bytesOf(
    'command=fetch\n', 'agent=git/2.39.5', 'object-format=sha1\n', 'session-id=20240101T000000.000000Z-H0-P1', 'server-option=one\n', 'server-option=', DELIMITER,
    'thin-pack\n', 'no-progress', 'include-tag\n', 'ofs-delta', 'sideband-all', 'wait-for-done', 'deepen-relative\n', 'packfile-uris https\n',
    `shallow ${C}\n`, 'deepen 3\n', 'filter blob:none\n', `want ${A}\n`, `want ${B}`, 'want-ref refs/heads/grün\n', `have ${A}\n`, `have ${B}`, 'done\n', FLUSH)
  const { open, state, request } = parse(2, body)
  assert.deepEqual([open, state], [{ state: 'complete' }, { state: 'complete' }])
  assert.deepEqual(request, {
    ...NOTHING,
    wants: [A, B],
    wantRefs: ['refs/heads/grün'],
    haves: 2,
    shallows: 1,
    done: true,
    depth: 3,
    deepenRelative: true,
    filter: 'blob:none',
    capabilities: ['agent=git/2.39.5', 'object-format=sha1', 'session-id=20240101T000000.000000Z-H0-P1', 'thin-pack', 'no-progress', 'include-tag', 'ofs-delta', 'sideband-all', 'wait-for-done', 'deepen-relative', 'packfile-uris https'],
    agent: 'git/2.39.5',
    sessionId: '20240101T000000.000000Z-H0-P1',
    serverOptions: ['one', '']
  })
  const bounded = parse(2, bytesOf(...v2('deepen-since 1700000000', 'deepen-not v1\n', 'deepen-not main', `want ${A}`))).request
  assert.deepEqual(bounded, { ...NOTHING, wants: [A], deepenSince: 1_700_000_000, deepenNot: ['v1', 'main'], capabilities: ['object-format=sha1'] })
})

test('every part of a v0 request is read', () => {
  const body = bytesOf(
    `want ${A} multi_ack_detailed no-done side-band-64k deepen-relative thin-pack ofs-delta agent=git/2.39.5 session-id=s filter\n`, `want ${B}\n`,
    `shallow ${C}`, 'deepen 2147483647', 'filter tree:0', FLUSH, `have ${A}\n`, `have ${B}\n`, 'done\n')
  const { open, state, request } = parse(0, body)
  assert.deepEqual([open, state], [{ state: 'complete' }, { state: 'complete' }])
  assert.deepEqual(request, {
    ...NOTHING,
    protocol: 0,
    wants: [A, B],
    haves: 2,
    shallows: 1,
    done: true,
    depth: 2147483647,
    deepenRelative: true,
    filter: 'tree:0',
    capabilities: ['multi_ack_detailed', 'no-done', 'side-band-64k', 'deepen-relative', 'thin-pack', 'ofs-delta', 'agent=git/2.39.5', 'session-id=s', 'filter'],
    agent: 'git/2.39.5',
    sessionId: 's'
  })
})

const FIRST = `want ${A} ofs-delta`
const COMPLETE: Array<[string, 0 | 1 | 2, Part[]]> = [
  ['no arguments', 2, ['command=fetch', FLUSH]],
  ['empty arguments', 2, ['command=fetch', DELIMITER, FLUSH]],
  ['the command behind a capability', 2, ['agent=x', 'command=fetch', DELIMITER, `want ${A}`, FLUSH]],
  ['a probe', 2, [FLUSH]],
  ['a probe', 0, [FLUSH]],
  ['ids of SHA-256', 2, ['command=fetch', 'object-format=sha256', DELIMITER, `want ${LONG_A}`, FLUSH]],
  ['a negotiation without a want', 2, v2('wait-for-done', `have ${A}`)],
  ['a clone', 0, [FIRST, FLUSH, 'done']],
  ['a clone', 1, [FIRST, FLUSH, 'done\n']],
  ['ids of SHA-256', 0, [`want ${LONG_A} ofs-delta`, `want ${LONG_B}`, FLUSH, 'done']],
  ['ids of SHA-256, named', 0, [`want ${LONG_A} object-format=sha256`, FLUSH, 'done']],
  ['no capability', 0, [`want ${A}`, FLUSH, 'done']],
  ['spaces behind the capabilities', 0, [`want ${A}  ofs-delta  thin-pack \n`, FLUSH, 'done']],
  ['a negotiation', 0, [FIRST, FLUSH, `have ${A}`, FLUSH]],
  ['a negotiation of nothing', 0, [FIRST, FLUSH, FLUSH]],
  ...['blob:none', 'blob:limit=0', 'blob:limit=10k', 'tree:3', 'object:type=tag', 'combine:blob:none+tree:2', 'sparse:oid=main:sparse'].map((spec): [string, 2, Part[]] => [`filter ${spec}`, 2, v2(`filter ${spec}`)])
]
for (const [what, protocol, parts] of COMPLETE) {
  test(`complete, version ${protocol}: ${what}`, () => {
    const outcome = parse(protocol, bytesOf(...parts))
    assert.deepEqual([outcome.open, outcome.state], [{ state: 'complete' }, { state: 'complete' }])
  })
}

test('the end of the body ends a v0 request behind its wants', () => {
  const { open, state, digest } = parse(0, bytesOf(FIRST, 'deepen 1', FLUSH))
  assert.deepEqual([open.state, state.state], ['incomplete', 'complete'])
  assert.notEqual(digest, null)
})

const UNKNOWN: Array<[string, 0 | 1 | 2, Part[]]> = [
  ...['ls-refs', 'object-info', 'bundle-uri', 'fetch2', 'fetch=x', ''].map((name): [string, 2, Part[]] => [`command '${name}'`, 2, [`command=${name}`]]),
  ['two commands', 2, ['command=fetch', 'command=fetch']],
  ['an unknown capability', 2, ['command=fetch', 'promisor-remote=x']],
  ['a capability without a value', 2, ['command=fetch', 'agent']],
  ['an empty capability', 2, ['command=fetch', 'agent=']],
  ['two agents', 2, ['agent=x', 'agent=y']],
  ['an unknown object format', 2, ['object-format=md5']],
  ['two object formats', 2, ['object-format=sha1', 'object-format=sha256']],
  ['an argument among the capabilities', 2, ['command=fetch', 'thin-pack']],
  ['an unknown argument', 2, v2('thick-pack')],
  ['an unknown argument with a value', 2, v2('bless me')],
  ['a repeated argument', 2, v2('done', 'done')],
  ['an argument with a value too many', 2, v2('done 1')],
  ['an id in upper case', 2, v2(`want ${A.toUpperCase()}`)],
  ['a short id', 2, v2(`want ${A.slice(1)}`)],
  ['an id with a tail', 2, v2(`want ${A} thin-pack`)],
  ['a have with a tail', 2, v2(`have ${A} `)],
  ['a second line end', 2, v2(`want ${A}\n\n`)],
  ['a NUL', 2, v2(`want ${A}\0`)],
  ['a NUL in a name, where it ends for git', 2, v2('want-ref refs/heads/a\0b')],
  ['a NUL in a capability', 2, ['agent=x\0']],
  ['ids of another format', 2, v2(`want ${LONG_A}`)],
  ['ids of another format, none named', 2, ['command=fetch', DELIMITER, `want ${LONG_A}`, FLUSH]],
  ['no UTF-8', 2, v2({ raw: '0014want-ref refs/\xfc' })],
  ...['0', '-1', '01', '0x1', ' 1', '1 ', '', '2147483648'].map((depth): [string, 2, Part[]] => [`depth '${depth}'`, 2, v2(`deepen ${depth}`)]),
  ['two depths', 2, v2('deepen 1', 'deepen 1')],
  ...['0', '-1', '1e9', '99999999999999999999'].map((time): [string, 2, Part[]] => [`time '${time}'`, 2, v2(`deepen-since ${time}`)]),
  ['a depth and a time', 2, v2('deepen 1', 'deepen-since 1', `want ${A}`)],
  ['a depth and a ref', 2, v2('deepen-not v1', 'deepen 1', `want ${A}`)],
  ['a depth and a time', 0, [FIRST, 'deepen 1', 'deepen-since 1', FLUSH]],
  ['no ref', 2, v2('want-ref ')],
  ['the same ref twice', 2, v2('want-ref refs/heads/a', 'want-ref refs/heads/a')],
  ...['', 'blob', 'blob:none ', 'sparse:path=x', 'sparse:oid=', 'combine:', 'combine:blob:none+', 'combine:blob:none+sparse:oid=x', 'blob:none+tree:1', 'tree:-1', 'auto']
    .map((spec): [string, 2, Part[]] => [`filter '${spec}'`, 2, v2(`filter ${spec}`)]),
  ['two filters', 2, v2('filter blob:none', 'filter blob:none')],
  ['a byte behind it', 2, [...v2(`want ${A}`), { raw: '0' }]],
  ['a second request', 2, [...v2(`want ${A}`), ...v2(`want ${A}`)]],
  ['a flush behind it', 0, [FIRST, FLUSH, 'done', FLUSH]],
  ['something behind a probe', 0, [FLUSH, FLUSH]],
  ['more than a packet may hold, but not more than git takes', 2, [{ raw: `fff3agent=${'x'.repeat(65513)}` }]],
  ['nothing', 2, []],
  ['half a header', 2, [{ raw: '00' }]],
  ['half a command', 2, [{ raw: '0011comm' }]],
  ['a shallow commit first', 0, [`shallow ${A}`]],
  ['a command of v2', 0, ['command=fetch']],
  ['capabilities behind the second want', 0, [FIRST, `want ${B} thin-pack`]],
  ['an unknown capability', 0, [`want ${A} thick-pack`]],
  ['a repeated capability', 0, [`want ${A} thin-pack thin-pack`]],
  ['a value where there is none', 0, [`want ${A} thin-pack=1`]],
  ['a tab, which git takes for a space', 0, [`want ${A} agent=x\tthin-pack`]],
  ['no space', 0, [`want ${A}ofs-delta`]],
  ['ids of two formats', 0, [FIRST, `want ${LONG_A}`]],
  ['another format than it names', 0, [`want ${A} object-format=sha256`]],
  ['another format than it names, the other way', 0, [`want ${LONG_A} object-format=sha1`]],
  ['a filter that was not negotiated', 0, [FIRST, 'filter blob:none']],
  ['a ref', 0, [FIRST, 'want-ref refs/heads/main']],
  ['a have among the wants', 0, [FIRST, `have ${A}`]],
  ['a want among the haves', 0, [FIRST, FLUSH, `want ${A}`]],
  ['a delimiter, which git takes for a flush', 0, [FIRST, DELIMITER]],
  ['a response end, which git takes for a flush', 0, [FIRST, FLUSH, RESPONSE_END]],
  ['a cut packet behind the wants', 0, [FIRST, FLUSH, { raw: '0009do' }]]
]
for (const [what, protocol, parts] of UNKNOWN) {
  test(`left to git, version ${protocol}: ${what}`, () => {
    const outcome = parse(protocol, bytesOf(...parts))
    assert.deepEqual(outcome.state, { state: 'unknown' })
    assert.equal(outcome.digest, null)
  })
}

test('another command is left to git at once', () => {
  assert.deepEqual(parse(2, bytesOf('command=ls-refs')).open, { state: 'unknown' })
})

test('a state that is final stays, whatever comes', () => {
  const parsers: Array<[Parser, Buffer, ParseState['state']]> = [
    [new Parser(2), bytesOf('command=ls-refs'), 'unknown'],
    [new Parser(2), Buffer.from('0003'), 'malformed'],
    [new Parser(2, 3), Buffer.from('0010'), 'too-large']
  ]
  for (const [parser, bytes, expected] of parsers) {
    assert.equal(parser.push(bytes).state, expected)
    for (const more of ['', '0', '0003', '0000']) assert.equal(parser.push(Buffer.from(more)).state, expected)
    assert.equal(parser.end().state, expected)
    assert.equal(parser.push(Buffer.from('0000')).state, expected)
  }
})

test('bytes behind a complete request take its digest away', () => {
  const parser = new Parser(2)
  assert.equal(parser.push(bytesOf(...v2(`want ${A}`))).state, 'complete')
  assert.match(parser.digest() ?? '', /^[0-9a-f]{64}$/)
  assert.equal(parser.digest(), parser.digest())
  assert.equal(parser.push(Buffer.alloc(0)).state, 'complete')
  assert.equal(parser.push(Buffer.from('x')).state, 'unknown')
  assert.equal(parser.digest(), null)
})

test('a body is read to the last byte that is allowed', () => {
  const body = bytesOf(...v2(`want ${A}`))
  assert.equal(parse(2, body, [], body.length).state.state, 'complete')
  assert.equal(parse(2, body, [], body.length - 1).state.state, 'too-large')
  assert.equal(parse(2, body, [1], body.length - 1).state.state, 'too-large')
  assert.equal(parse(2, Buffer.concat([body, body]), [7], body.length).state.state, 'unknown')
  const endless = Buffer.concat([bytesOf(...v2().slice(0, -1)), ...Array.from({ length: 250_000 }, () => bytesOf(`have ${A}`))])
  assert.equal(parse(2, endless.subarray(0, 10 * 1024 * 1024), [65536]).open.state, 'incomplete')
  assert.equal(parse(2, endless, [65536]).state.state, 'too-large')
})

test('haves are counted without end, what is kept is not', () => {
  const many = (line: (i: number) => string, count: number): Part[] => Array.from({ length: count }, (_, i) => line(i))
  const id = (i: number): string => i.toString(16).padStart(40, '0')
  const haves = parse(2, bytesOf(...v2(...many((i) => `have ${id(i)}`, 100_000))))
  assert.deepEqual([haves.state.state, haves.request.haves], ['complete', 100_000])
  assert.equal(state(2, v2(...many((i) => `want ${id(i)}`, 40_000))), 'complete')
  const kept: Array<(i: number) => string> = [(i) => `want ${id(i)}`, (i) => `shallow ${id(i)}`, (i) => `deepen-not ${i}`, (i) => `want-ref ${i}`]
  for (const line of kept) assert.equal(state(2, v2(...many(line, 65_536))), 'too-large', line(0))
  assert.equal(state(2, ['command=fetch', ...many(() => `server-option=${'x'.repeat(60_000)}`, 70), FLUSH]), 'too-large')
})
