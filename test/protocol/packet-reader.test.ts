import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Packet, PacketReader } from '../../lib/protocol/packet-reader.ts'
import { encodePacket, MAX_PACKET_LENGTH } from '../../lib/protocol/pkt-line.ts'
import { FLUSH, packets, pieces, sizes } from './push-scene.ts'

const SPECIAL: Partial<Record<Packet['kind'], string>> = { flush: '0000', delimiter: '0001', 'response-end': '0002' }

interface Reading {
  found: Packet[]
  announced: number
  /** What is not in a packet. */
  left: Buffer
}

function isImpossible (packet: Packet | undefined): boolean {
  return packet?.kind === 'oversized' || packet?.kind === 'invalid'
}

/** Reads up to the end, or to what is no packet. Each piece is wiped once the reader is done with it. */
function read (bytes: Buffer, lengths: readonly number[] = []): Reading {
  const reader = new PacketReader()
  const found: Packet[] = []
  const behind: Buffer[] = []
  for (const part of pieces(bytes, lengths)) {
    if (isImpossible(found.at(-1))) {
      behind.push(part)
      continue
    }
    const piece = Buffer.from(part)
    reader.feed(piece)
    for (let packet = reader.next(); packet !== null; packet = reader.next()) {
      found.push(packet.kind === 'data' ? { kind: 'data', payload: Buffer.from(packet.payload) } : packet)
      if (isImpossible(packet)) break
    }
    behind.push(Buffer.from(reader.rest))
    piece.fill(0)
    assert.ok(reader.partial.length < MAX_PACKET_LENGTH)
  }
  return { found, announced: reader.announced, left: Buffer.concat([reader.partial, ...behind]) }
}

const bytewise = (bytes: Buffer): number[] => Array.from({ length: bytes.length }, () => 1)
const whole = fc.uint8Array({ maxLength: 90 }).map((bytes) => encodePacket(Buffer.from(bytes)))
const token = fc.constantFrom('0000', '0001', '0002', '0003', '0004', '00', 'fff0', 'FFF1', 'fff3', 'fff4', 'ffff', '-001', 'zzzz').map((text) => Buffer.from(text))
const noise = fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes))
const stream = fc.array(fc.oneof({ weight: 6, arbitrary: whole }, { weight: 2, arbitrary: token }, noise), { maxLength: 12 }).map((parts) => Buffer.concat(parts))

test('every kind of packet, or none yet', () => {
  const rows: Array<[string, Packet['kind'] | undefined]> = [
    ['', undefined], ['000', undefined], ['0005', undefined], ['fff0', undefined], ['FFF0', undefined],
    ['0000', 'flush'], ['0001', 'delimiter'], ['0002', 'response-end'], ['0004', 'data'], ['0005a', 'data'],
    ['0003', 'invalid'], ['fff4', 'invalid'], ['ffff', 'invalid'], ['-001', 'invalid'], ['0x10', 'invalid'], [' 010', 'invalid'], ['zzzz', 'invalid'],
    ['fff1', 'oversized'], ['fff3', 'oversized'], ['FfF2', 'oversized']
  ]
  for (const [bytes, kind] of rows) assert.equal(read(Buffer.from(bytes)).found[0]?.kind, kind, bytes)
})

test('packets are read on behind each of the special ones', () => {
  const bytes = packets('one', { raw: '0001' }, 'two', { raw: '0002' }, FLUSH, { raw: '0004' }, 'three')
  const data = (text: string): Packet => ({ kind: 'data', payload: Buffer.from(text) })
  const found: Packet[] = [data('one'), { kind: 'delimiter' }, data('two'), { kind: 'response-end' }, { kind: 'flush' }, data(''), data('three')]
  for (const lengths of [[], bytewise(bytes)]) assert.deepEqual(read(bytes, lengths), { found, announced: bytes.length, left: Buffer.alloc(0) })
})

test('nothing is read behind what is no packet', () => {
  for (const [header, kind] of [['fff4', 'invalid'], ['fff1', 'oversized']] as const) {
    const reader = new PacketReader()
    reader.feed(Buffer.from(`0005a${header}0000`))
    assert.equal(reader.next()?.kind, 'data')
    for (let again = 0; again < 3; again++) assert.deepEqual(reader.next(), { kind })
    assert.deepEqual([reader.announced, reader.partial.toString(), reader.rest.toString()], [9, header, '0000'])
    reader.feed(Buffer.from('0000'))
    assert.deepEqual(reader.next(), { kind })
  }
})

test('a length is known before the bytes that it announces', () => {
  const reader = new PacketReader()
  reader.feed(Buffer.from('0000fff'))
  assert.deepEqual([reader.next()?.kind, reader.next(), reader.announced], ['flush', null, 4])
  reader.feed(Buffer.from('0'))
  assert.deepEqual([reader.next(), reader.announced], [null, 4 + MAX_PACKET_LENGTH])
  reader.feed(Buffer.from('abc'))
  assert.deepEqual([reader.next(), reader.announced, reader.partial.toString()], [null, 4 + MAX_PACKET_LENGTH, 'fff0abc'])
})

test('any split of any bytes gives the same packets, and none of the bytes are lost', () => {
  const seen = new Map<string, number>()
  fc.assert(fc.property(stream, sizes, (bytes, lengths) => {
    const once = read(bytes)
    assert.deepEqual(read(bytes, lengths), once)
    assert.deepEqual(read(bytes, bytewise(bytes)), once)
    const again = once.found.map((packet) => packet.kind === 'data' ? encodePacket(packet.payload) : Buffer.from(SPECIAL[packet.kind] ?? ''))
    // A length may be written in capitals.
    assert.equal(Buffer.concat([...again, once.left]).toString('latin1').toLowerCase(), bytes.toString('latin1').toLowerCase())
    for (const { kind } of once.found) seen.set(kind, (seen.get(kind) ?? 0) + 1)
  }), { numRuns: 2_000 })
  for (const kind of ['data', 'oversized', 'invalid', ...Object.keys(SPECIAL)]) assert.ok((seen.get(kind) ?? 0) > 50, `${kind}: ${seen.get(kind)}`)
})

test('however much comes, less than one packet is kept', () => {
  const large = fc.integer({ min: 0, max: MAX_PACKET_LENGTH - 4 }).map((length) => encodePacket(Buffer.alloc(length, 'x')))
  const far = fc.array(fc.integer({ min: 1, max: 150_000 }), { minLength: 1, maxLength: 9 })
  fc.assert(fc.property(fc.array(fc.oneof({ weight: 4, arbitrary: large }, token), { minLength: 1, maxLength: 6 }), far, (parts, lengths) => {
    const bytes = Buffer.concat(parts)
    const reader = new PacketReader()
    let [offset, given] = [0, 0]
    for (const piece of pieces(bytes, lengths)) {
      reader.feed(piece)
      given += piece.length
      for (let packet = reader.next(); packet !== null; packet = reader.next()) {
        offset += packet.kind === 'data' ? packet.payload.length + 4 : 4
        if (isImpossible(packet)) {
          assert.equal(reader.partial.length, 4)
          return
        }
      }
      assert.equal(reader.rest.length, 0)
      assert.equal(reader.partial.length, given - offset)
      assert.ok(reader.partial.length < MAX_PACKET_LENGTH)
      assert.ok(reader.announced - offset <= MAX_PACKET_LENGTH)
    }
  }), { numRuns: 200 })
})
