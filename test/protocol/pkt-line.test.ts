import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AnswerTail } from '../../lib/protocol/answer-tail.ts'
import { encodePacket, FLUSH, MAX_PACKET_LENGTH, packetLength } from '../../lib/protocol/pkt-line.ts'

test('lengths as git reads them', () => {
  const rows: Array<[string, number]> = [
    ['0000', 0], ['0001', 1], ['0002', 2], ['0004', 4], ['fff0', MAX_PACKET_LENGTH], ['FFF0', MAX_PACKET_LENGTH],
    ['0003', -1], ['fff1', -1], ['ffff', -1], ['zzzz', -1], ['-001', -1], ['0x10', -1], [' 010', -1], ['00', -1], ['', -1]
  ]
  for (const [text, length] of rows) assert.equal(packetLength(Buffer.from(text)), length, text)
})

test('a payload that does not fit is refused', () => {
  assert.equal(encodePacket(Buffer.alloc(MAX_PACKET_LENGTH - 4)).length, MAX_PACKET_LENGTH)
  assert.throws(() => encodePacket(Buffer.alloc(MAX_PACKET_LENGTH - 3)), RangeError)
})

const ends: Array<{ name: string, bytes: Buffer, complete: boolean }> = [
  { name: 'nothing', bytes: Buffer.alloc(0), complete: false },
  { name: 'a flush', bytes: Buffer.from(FLUSH), complete: true },
  { name: 'text without a flush', bytes: encodePacket('NAK\n'), complete: false },
  { name: 'text and a flush', bytes: Buffer.concat([encodePacket('NAK\n'), Buffer.from(FLUSH)]), complete: true },
  { name: 'an error message', bytes: encodePacket('ERR upload-pack: not our ref\n'), complete: true },
  { name: 'an error message behind others', bytes: Buffer.concat([encodePacket('shallow'), Buffer.from('0001'), encodePacket('ERR no')]), complete: true },
  { name: 'side band 3', bytes: Buffer.concat([encodePacket('packfile\n'), encodePacket('\u0003aborting')]), complete: true },
  { name: 'side band 1', bytes: encodePacket('\u0001PACK'), complete: false },
  { name: 'a word that starts like ERR', bytes: encodePacket('ERRATIC'), complete: false },
  { name: 'half a header', bytes: Buffer.from('000'), complete: false },
  { name: 'half a packet', bytes: encodePacket('\u0001PACK').subarray(0, 7), complete: false },
  { name: 'an unframed pack', bytes: Buffer.concat([encodePacket('NAK\n'), Buffer.from('PACK....0000')]), complete: false }
]

for (const { name, bytes, complete } of ends) {
  test(`an answer that ends with ${name} is ${complete ? '' : 'not '}complete, however it is split`, () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 40 }), (sizes) => {
      const tail = new AnswerTail()
      let offset = 0
      for (const size of [...sizes, bytes.length]) {
        tail.update(bytes.subarray(offset, offset + size))
        offset += size
      }
      assert.equal(tail.complete, complete)
    }))
  })
}
