import { encodePacket, FLUSH, MAX_PACKET_LENGTH } from './pkt-line.ts'

/** Longest message that fits into one side-band packet beside its five bytes of framing. */
const MAX_BAND = MAX_PACKET_LENGTH - 5

/**
 * A refusal that git prints for a fetch (gitprotocol-pack(5)):
 *
 *     PKT-LINE("ERR" SP explanation-text)
 */
export function fetchError (reason: string): Buffer {
  return encodePacket(`ERR ${oneLine(reason)}`)
}

/**
 * A refusal of a whole push in the shape that the client asked for. With report-status the
 * reason stands where receive-pack puts "unpack error" (gitprotocol-pack(5), "Report Status"):
 *
 *     side-band-64k:  PKT-LINE(%x01 PKT-LINE("unpack" SP reason LF) flush-pkt) flush-pkt
 *     otherwise:      PKT-LINE("unpack" SP reason LF) flush-pkt
 *
 * A client without report-status only understands a side-band 3 message, or nothing at all.
 */
export function pushError (reason: string, capabilities: readonly string[]): Buffer {
  const text = oneLine(reason)
  const report = capabilities.some((name) => name === 'report-status' || name === 'report-status-v2')
    ? Buffer.concat([encodePacket(`unpack ${text}\n`), Buffer.from(FLUSH)])
    : Buffer.alloc(0)
  if (!capabilities.includes('side-band-64k')) return report
  const band = report.length > 0
    ? Buffer.concat([Buffer.of(1), report])
    : Buffer.concat([Buffer.of(3), Buffer.from(`${text}\n`)])
  return Buffer.concat([encodePacket(band), Buffer.from(FLUSH)])
}

function oneLine (text: string): string {
  // eslint-disable-next-line no-control-regex
  const clean = text.replace(/[\u0000-\u001f\u007f]+/g, ' ').trim()
  const bytes = Buffer.from(clean)
  return bytes.length <= MAX_BAND / 2 ? clean : bytes.subarray(0, MAX_BAND / 2).toString('utf8')
}
