/**
 * Packet lines, the framing of git's wire protocol (gitprotocol-common(5), git's pkt-line.c):
 * four hex digits with the length of the packet, themselves included, then the payload.
 * `0000` flush, `0001` delimiter and `0002` response end carry no payload.
 */

/** Four hex digits. */
export const HEADER_LENGTH = 4
/** Largest packet that git writes, header included (pkt-line.h, LARGE_PACKET_MAX). */
export const MAX_PACKET_LENGTH = 65520

export const FLUSH = '0000'
export const DELIMITER = '0001'
export const RESPONSE_END = '0002'

/** Frames `payload` as one packet. Throws a RangeError when it does not fit. */
export function encodePacket (payload: string | Uint8Array): Buffer {
  const bytes = Buffer.from(payload)
  const length = bytes.length + HEADER_LENGTH
  if (length > MAX_PACKET_LENGTH) throw new RangeError(`packet of ${length} bytes`)
  return Buffer.concat([Buffer.from(length.toString(16).padStart(HEADER_LENGTH, '0')), bytes])
}

/** What four header bytes announce: the packet's whole length, 0 to 2 for the special packets, -1 for anything else. */
export function packetLength (bytes: Uint8Array, offset = 0): number {
  let length = 0
  for (let i = offset; i < offset + HEADER_LENGTH; i++) {
    const digit = hexDigit(bytes[i])
    if (digit < 0) return -1
    length = length * 16 + digit
  }
  return length === 3 || length > MAX_PACKET_LENGTH ? -1 : length
}

function hexDigit (code: number | undefined): number {
  if (code === undefined) return -1
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
