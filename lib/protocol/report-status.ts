import { encodePacket, FLUSH, HEADER_LENGTH, MAX_PACKET_LENGTH } from './pkt-line.ts'
import { BAND_DATA, BAND_ERROR, BAND_PROGRESS, MAX_BAND_LENGTH, toBand, wantsReport } from './push-bands.ts'

/** What becomes of one ref of a push. */
export type RefResult = { ref: string, ok: true } | { ref: string, reason: string }

/** A whole answer to a push. */
export interface PushAnswer {
  /** `ok`, or why nothing was unpacked. */
  unpack: string
  refs: readonly RefResult[]
  /** Printed by the client as `remote:` lines, before the result. */
  messages?: readonly string[]
}

/** Longest text in bytes; the client's terminal is the real limit. */
const MAX_TEXT_LENGTH = Math.floor(MAX_BAND_LENGTH / 2)
/** C0, DEL and C1: nothing that ends a line or that a terminal obeys. */
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]+/g
/** Behind `ng` these would be no failure: git's remote helper reads them as results of its own (transport-helper.c, push_update_ref_status). */
const MISREAD = new Set(['up to date', 'no match'])

/**
 * A refusal that git prints for a fetch (gitprotocol-pack(5)):
 *
 *     PKT-LINE("ERR" SP explanation-text)
 */
export function fetchError (reason: string): Buffer {
  return encodePacket(`ERR ${oneLine(reason)}`)
}

/**
 * A refusal of a whole push in the shape that the client asked for. The reason stands where receive-pack puts
 * "unpack error"; see {@link pushReport}.
 */
export function pushError (reason: string, capabilities: readonly string[]): Buffer {
  return pushReport({ unpack: reason, refs: [] }, capabilities)
}

/**
 * The answer to a push in the shape that the client asked for (gitprotocol-pack(5), "Report Status"):
 *
 *     side-band-64k:  *PKT-LINE(%x02 message LF) *PKT-LINE(%x01 part-of-report) flush-pkt
 *     otherwise:      report
 *     report:         PKT-LINE("unpack" SP ("ok" / reason) LF) *PKT-LINE(("ok" SP ref / "ng" SP ref SP reason) LF) flush-pkt
 *
 * Version 2 of the report only adds lines that tell how a hook changed a command, so without such a hook both are the same.
 * A client without report-status only understands a message on side band 3, or nothing at all; one without side bands gets
 * no messages.
 */
export function pushReport ({ unpack, refs, messages = [] }: PushAnswer, capabilities: readonly string[]): Buffer {
  const failures = [...(unpack === 'ok' ? [] : [unpack]), ...refs.flatMap((result) => 'reason' in result ? [`${result.ref}: ${result.reason}`] : [])]
  const report = wantsReport(capabilities)
    ? Buffer.concat([encodePacket(`unpack ${oneLine(unpack)}\n`), ...refs.map(resultLine), Buffer.from(FLUSH)])
    : Buffer.alloc(0)
  if (!capabilities.includes('side-band-64k')) return report
  const error = wantsReport(capabilities) ? Buffer.alloc(0) : failureMessage(failures)
  return Buffer.concat([...messages.map(progressMessage), toBand(BAND_DATA, report), error, Buffer.from(FLUSH)])
}

/** One line of a report; the reason is cut to what fits beside the ref. */
export function resultLine (result: RefResult): Buffer {
  if ('ok' in result) return encodePacket(`ok ${result.ref}\n`)
  const room = MAX_PACKET_LENGTH - HEADER_LENGTH - Buffer.byteLength(`ng ${result.ref} \n`)
  // git's client says "failed" where there is no reason (send-pack.c, receive_status).
  const reason = oneLine(result.reason, room) || 'failed'
  return encodePacket(`ng ${result.ref} ${MISREAD.has(reason) ? `${reason}.` : reason}\n`)
}

/** A text that the client prints as `remote:` lines at once, on side band 2. */
export function progressMessage (text: string): Buffer {
  const lines = text.trimEnd().split(/\r?\n/).map((line) => `${line.replace(CONTROL, ' ')}\n`)
  return toBand(BAND_PROGRESS, Buffer.from(lines.join('')))
}

/** What a client without report-status is told of failures, on side band 3; it then counts the push as failed. */
export function failureMessage (failures: readonly string[]): Buffer {
  return failures.length === 0 ? Buffer.alloc(0) : toBand(BAND_ERROR, Buffer.from(`${oneLine(failures.join('; '))}\n`))
}

function oneLine (text: string, maxLength: number = MAX_TEXT_LENGTH): string {
  const bytes = Buffer.from(text.replace(CONTROL, ' ').trim())
  let end = Math.min(bytes.length, maxLength, MAX_TEXT_LENGTH)
  // Not within a character.
  while (end > 0 && end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}
