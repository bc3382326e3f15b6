import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import fc from 'fast-check'
import { cleanProtocol, protocolVersion, pushCapabilities } from '../../lib/protocol/capabilities.ts'
import { DumbListing } from '../../lib/protocol/dumb-listing.ts'
import { namespacePrefix } from '../../lib/protocol/namespace.ts'
import { fetchError, pushError } from '../../lib/protocol/report-status.ts'

test('Git-Protocol is forwarded only when it matches its grammar', () => {
  for (const good of ['version=2', 'version=1', 'version=2:key', 'key=value:version=1', 'a.b-c_d=']) assert.equal(cleanProtocol(good), good)
  for (const bad of ['', ':', 'version=2:', '=2', 'version=2 ', 'a=b=c', '$(id)', 'version=2\nX', 'ü', 'x'.repeat(257), ['version=2'], undefined]) {
    assert.equal(cleanProtocol(bad), undefined, String(bad))
  }
})

test('the highest version wins, as in git', () => {
  assert.equal(protocolVersion(undefined), 0)
  assert.equal(protocolVersion('version=1'), 1)
  assert.equal(protocolVersion('version=1:version=2'), 2)
  assert.equal(protocolVersion('version=2:version=1'), 2)
  assert.equal(protocolVersion('version=3'), 0)
})

test('capabilities stand behind the NUL of the first command', () => {
  assert.deepEqual(pushCapabilities(Buffer.from('old new ref\0 report-status side-band-64k\n')), ['report-status', 'side-band-64k'])
  assert.deepEqual(pushCapabilities(Buffer.from('old new ref')), [])
})

test('refusals in git\'s protocol', () => {
  assert.equal(fetchError('go away').toString(), '000fERR go away')
  assert.equal(pushError('busy', ['report-status']).toString(), '0010unpack busy\n0000')
  assert.equal(pushError('busy', ['report-status', 'side-band-64k']).toString(), '0019\u00010010unpack busy\n00000000')
  assert.equal(pushError('busy', ['side-band-64k']).toString(), '000a\u0003busy\n0000')
  assert.equal(pushError('busy', []).length, 0)
})

test('a reason stays one packet and one line, whatever it is', () => {
  fc.assert(fc.property(fc.string({ maxLength: 100_000 }), fc.boolean(), (reason, band) => {
    const bytes = band ? pushError(reason, ['report-status', 'side-band-64k']) : fetchError(reason)
    assert.ok(bytes.length <= 65_528)
    assert.doesNotMatch(bytes.toString('utf8', 4).replace(/^.[0-9a-f]{4}(?=unpack )/s, '').replace(/\n0{4,8}$/, ''), /[\0\r\n]/)
  }), { examples: [['x'.repeat(200_000), true], ['é'.repeat(90_000), false], ['a\nb\0c', true]] })
})

test('show-ref becomes a dumb listing, however it is split', async () => {
  const ids = ['1', '2', '3'].map((digit) => digit.repeat(40))
  const input = Buffer.from(`${ids[0]} refs/heads/main\n${ids[1]} refs/tags/v1\n${ids[2]} refs/tags/v1^{}\n${ids[0]} refs/namespaces/a/refs/heads/x\n`)
  await fc.assert(fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 30 }), fc.constantFrom(undefined, 'a'), async (sizes, namespace) => {
    const chunks: Buffer[] = []
    for (let offset = 0, i = 0; offset < input.length; i++) {
      const size = sizes[i] ?? input.length
      chunks.push(input.subarray(offset, offset + size))
      offset += size
    }
    const output = await buffer(Readable.from(chunks).pipe(new DumbListing(namespacePrefix(namespace))))
    const expected = namespace === undefined ? input.toString().replaceAll(' ', '\t') : `${ids[0]}\trefs/heads/x\n`
    assert.equal(output.toString(), expected)
  }))
})

test('a namespace is a ref prefix, at every level', () => {
  assert.equal(namespacePrefix(undefined), '')
  assert.equal(namespacePrefix('a'), 'refs/namespaces/a/')
  assert.equal(namespacePrefix('a/b'), 'refs/namespaces/a/refs/namespaces/b/')
})
