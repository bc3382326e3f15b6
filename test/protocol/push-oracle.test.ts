import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodePushHead } from '../../lib/protocol/push-head.ts'
import { asSeen, gitReads, makeScene } from './push-reading.ts'
import { FLUSH, headOf, type Line, packets, parse, ZERO } from './push-scene.ts'

function rarely<T> (usual: fc.Arbitrary<T>, odd: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 15, arbitrary: usual }, { weight: 1, arbitrary: odd })
}

test('git reads what we accept exactly as we do', async (t) => {
  const scene = await makeScene(t)
  const [one, two] = scene.ids
  const id = fc.constantFrom(ZERO, one, two, one.toUpperCase(), `${one}0`, 'g'.repeat(40))
  const ref = fc.constantFrom('refs/heads/a', 'refs/heads/b', 'refs/tags/ü', 'refs/x', 'refs/heads/a..b', 'HEAD', 'config')
  const odd = fc.constantFrom('', '', '', '\n', '\n\n', ' ', '\0', '\0 atomic', '\0 quiet\tpush-options')
  const command = fc.tuple(id, id, ref, odd).map(([from, to, name, end]): Line => `${from} ${to} ${name}${end}`)
  const valid = fc.tuple(fc.constantFrom(ZERO, one), fc.constantFrom(one, two), fc.stringMatching(/^[a-zé日@{}$.-]{1,6}$/u), fc.constantFrom('', '\n')).map(([from, to, name, end]): Line => `${from} ${to} refs/heads/${name}${end}`)
  const good = fc.subarray(['report-status', 'side-band-64k', 'push-options', 'atomic', 'object-format=sha1', 'x-future=1'])
  const oddity = rarely(fc.constant(''), fc.constantFrom('atomic=0', 'push-options=1', 'quiet\tpush-options', 'object-format=sha256'))
  const capability = fc.tuple(good, oddity).map(([names, name]) => [...names, name])
  const option = rarely(fc.constantFrom<Line>('a', 'b c', 'ü\t\n', '$(id)', '"', 'x\n', ' ', '=', 'ERR'), fc.constantFrom<Line>('', 'x\0y', 'ERR x', 'a\nb'))
  const end = rarely(fc.constant<Line>(FLUSH), fc.constantFrom<Line>({ raw: '0001' }, { raw: '0002' }))
  const request = fc.tuple(capability, fc.array(rarely(valid, command), { minLength: 1, maxLength: 3 }), fc.array(option, { maxLength: 2 }), end, end)
    .map(([capabilities, [first = '', ...commands], options, middle, last]) => {
      const line = `${String(first)}\0 ${capabilities.join(' ')}`
      return packets(line, ...commands, middle, ...(capabilities.includes('push-options') ? [...options, last] : []))
    })
  let accepted = 0
  await fc.assert(fc.asyncProperty(request, async (bytes) => {
    const parsed = parse(bytes)
    if (parsed.state !== 'complete') return
    accepted++
    assert.equal(parsed.consumed, bytes.length)
    assert.deepEqual(await gitReads(scene, bytes), asSeen(parsed.head))
  }), { numRuns: 300 })
  assert.ok(accepted > 30, `${accepted} accepted`)
})

const SIGNED = ['-----BEGIN SSH SIGNATURE-----\n', 'x\n', '-----END SSH SIGNATURE-----\n', 'push-cert-end\n']

test('git executes the commands of a certificate that it never asked for, and we read the same ones', async (t) => {
  const scene = await makeScene(t)
  const [one, two] = scene.ids
  const line = `${ZERO} ${one} refs/heads/signed\n`
  const bytes = packets('push-cert\0 report-status push-options', 'certificate version 0.1\n', 'pusher Ann <a@b> 1 +0000\n', 'push-option x y\n', '\n', line, `${one} ${two} refs/heads/main\n`, ...SIGNED, FLUSH, 'x y', FLUSH)
  const head = headOf(bytes)
  assert.equal(head.commands.length, 2)
  assert.deepEqual(await gitReads(scene, bytes), asSeen(head))
  assert.deepEqual(await gitReads(scene, encodePushHead(head, head.commands) ?? Buffer.alloc(0)), asSeen(head))
})

test('git reads the commands that were kept of a push', async (t) => {
  const scene = await makeScene(t)
  const [one] = scene.ids
  const head = headOf(packets(`${ZERO} ${one} refs/heads/a\0 report-status push-options`, `${ZERO} ${one} refs/heads/b`, `${one} ${ZERO} refs/heads/c`, FLUSH, 'x', FLUSH))
  for (const kept of [head.commands.slice(1), head.commands.slice(0, 1), head.commands.slice(2)]) {
    assert.deepEqual(await gitReads(scene, encodePushHead(head, kept) ?? Buffer.alloc(0)), asSeen({ ...head, commands: kept }))
  }
})

test('git lets through what we refuse', async (t) => {
  const scene = await makeScene(t)
  const [one, two] = scene.ids
  const line = `${ZERO} ${one} refs/heads/a`
  const certificate = ['push-cert\0', 'certificate version 0.1\n', 'pusher x\n', '\n', `${ZERO} ${one} refs/heads/signed\n`]
  const rows: Record<string, [Line[], string]> = {
    'a delimiter for the flush': [[line, { raw: '0001' }], 'refs/heads/a'],
    'a response end for the flush': [[line, { raw: '0002' }], 'refs/heads/a'],
    'upper-case ids': [[`${ZERO} ${one.toUpperCase()} refs/heads/a`, FLUSH], 'refs/heads/a'],
    'capabilities on the second line': [[line, `${ZERO} ${one} refs/heads/b\0push-options`, FLUSH, 'x', FLUSH], 'refs/heads/a refs/heads/b'],
    'a flag with a value': [[`${line}\0push-options=no`, FLUSH, 'x', FLUSH], 'refs/heads/a'],
    'a ref twice': [[line, `${ZERO} ${two} refs/heads/a`, FLUSH], 'refs/heads/a refs/heads/a'],
    'a ref that is no ref': [[`${ZERO} ${one} config`, FLUSH], 'config'],
    'commands beside a certificate': [[line, ...certificate, ...SIGNED, FLUSH], 'refs/heads/a refs/heads/signed'],
    'a certificate without end': [[...certificate, ...SIGNED.slice(0, 3), FLUSH], 'refs/heads/signed'],
    'a certificate in odd packets': [[certificate.join('') + SIGNED.slice(0, 3).join('')].flatMap((text) => ['push-cert\0', text.slice('push-cert\0'.length, 60), text.slice(60), 'push-cert-end\n', FLUSH]), 'refs/heads/signed']
  }
  for (const [what, [lines, refs]] of Object.entries(rows)) {
    assert.equal(parse(packets(...lines)).state, 'malformed', what)
    const seen = await gitReads(scene, packets(...lines))
    assert.equal(seen?.commands.trimEnd().split('\n').map((command) => command.split(' ')[2]).join(' '), refs, what)
  }
})
