import { encodePacket, HEADER_LENGTH, MAX_PACKET_LENGTH } from './pkt-line.ts'

/** Side bands of `side-band-64k` (gitprotocol-pack(5), "Packfile Data"). */
export const BAND_DATA = 1
export const BAND_PROGRESS = 2
export const BAND_ERROR = 3
/** Bytes beside header and band in one packet. */
export const MAX_BAND_LENGTH: number = MAX_PACKET_LENGTH - HEADER_LENGTH - 1

/** `bytes` on one band, in as few packets as they fit into (sideband.c, send_sideband). */
export function toBand (band: number, bytes: Uint8Array): Buffer {
  const packets: Buffer[] = []
  for (let offset = 0; offset < bytes.length; offset += MAX_BAND_LENGTH) {
    packets.push(encodePacket(Buffer.concat([Buffer.of(band), bytes.subarray(offset, offset + MAX_BAND_LENGTH)])))
  }
  return Buffer.concat(packets)
}

/** True when the client asked for a report of either version. */
export function wantsReport (capabilities: readonly string[]): boolean {
  return capabilities.includes('report-status') || capabilities.includes('report-status-v2')
}
