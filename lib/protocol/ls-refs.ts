import { setImmediate as nextIteration } from 'node:timers/promises'
import { PacketReader } from './packet-reader.ts'
import { DELIMITER, encodePacket, FLUSH, HEADER_LENGTH, packetLength } from './pkt-line.ts'

/** What an `ls-refs` request asks for (gitprotocol-v2(5), "ls-refs"). */
export interface LsRefsRequest {
  peel: boolean
  symrefs: boolean
  unborn: boolean
  /** Byte strings as latin1; empty means everything. */
  prefixes: string[]
  objectFormat: string | undefined
}

/** Refs looked at before the event loop gets a turn. */
const SLICE = 2_000
const FIRST_LINE = encodePacket('command=ls-refs\n')

/**
 * Reads a whole `ls-refs` request. Null for anything that is not exactly one, or holds what is not known here: only git
 * answers that.
 */
export function parseLsRefs (body: Buffer): LsRefsRequest | null {
  const request: LsRefsRequest = { peel: false, symrefs: false, unborn: false, prefixes: [], objectFormat: undefined }
  let section: 'command' | 'capabilities' | 'arguments' = 'command'
  const reader = new PacketReader()
  reader.feed(body)
  for (let packet = reader.next(); packet !== null; packet = reader.next()) {
    if (packet.kind === 'flush') return section !== 'command' && reader.rest.length === 0 ? request : null
    if (packet.kind === 'delimiter' && section === 'capabilities') {
      section = 'arguments'
      continue
    }
    if (packet.kind !== 'data' || packet.payload.length === 0) return null
    const line = packet.payload.toString('latin1').replace(/\n$/, '')
    // git's strings end at a NUL.
    if (line.includes('\0')) return null
    if (section === 'command') {
      if (line !== 'command=ls-refs') return null
      section = 'capabilities'
    } else if (!(section === 'capabilities' ? readCapability(line, request) : readArgument(line, request))) {
      return null
    }
  }
  return null
}

/** False when no continuation of `bytes` is an `ls-refs` request. */
export function couldBeLsRefs (bytes: Buffer): boolean {
  const packets = [FIRST_LINE, encodePacket(FIRST_LINE.subarray(HEADER_LENGTH, -1))]
  return packets.some((packet) => packet.subarray(0, bytes.length).equals(bytes.subarray(0, packet.length)))
}

function readCapability (line: string, request: LsRefsRequest): boolean {
  // It does not change the answer. A session id comes only where the server sends one, and there git is asked.
  if (line.startsWith('agent=')) return true
  if (!line.startsWith('object-format=') || request.objectFormat !== undefined) return false
  request.objectFormat = line.slice('object-format='.length)
  return true
}

function readArgument (line: string, request: LsRefsRequest): boolean {
  if (line === 'peel' || line === 'symrefs' || line === 'unborn') {
    request[line] = true
    return true
  }
  if (!line.startsWith('ref-prefix ')) return false
  request.prefixes.push(line.slice('ref-prefix '.length))
  return true
}

/** A request for everything that {@link selectRefs} can choose from. */
export function completeRequest (objectFormat: string | undefined, unborn: boolean): Buffer {
  return Buffer.concat([
    encodePacket('command=ls-refs\n'),
    ...(objectFormat === undefined ? [] : [encodePacket(`object-format=${objectFormat}\n`)]),
    Buffer.from(DELIMITER),
    encodePacket('peel\n'), encodePacket('symrefs\n'), ...(unborn ? [encodePacket('unborn\n')] : []),
    Buffer.from(FLUSH)
  ])
}

/** The same for requests that get the same answer. */
export function requestKey ({ peel, symrefs, unborn, prefixes }: LsRefsRequest): string {
  return JSON.stringify([peel, symrefs, unborn, [...new Set(prefixes)].sort()])
}

/**
 * The answer to `request`, chosen from the answer to {@link completeRequest} (ls-refs.c, send_ref):
 *
 *     ref = PKT-LINE((obj-id | "unborn") SP refname [SP "symref-target:" name] [SP "peeled:" obj-id] LF)
 */
export async function selectRefs (complete: Buffer, request: LsRefsRequest): Promise<Buffer> {
  const chosen: Buffer[] = []
  let count = 0
  for (let offset = 0; ; count++) {
    const length = packetLength(complete, offset)
    if (length === 0) break
    if (length <= HEADER_LENGTH || offset + length > complete.length) throw new Error('malformed ls-refs answer')
    const packet = selectRef(complete.subarray(offset, offset + length), request)
    if (packet !== null) chosen.push(packet)
    offset += length
    if (count % SLICE === SLICE - 1) await nextIteration()
  }
  chosen.push(Buffer.from(FLUSH))
  return Buffer.concat(chosen)
}

function selectRef (packet: Buffer, { peel, symrefs, unborn, prefixes }: LsRefsRequest): Buffer | null {
  const fields = packet.toString('latin1', HEADER_LENGTH, packet.length - 1).split(' ')
  const [id, name = '', ...attributes] = fields
  if (id === 'unborn' && !(unborn && symrefs)) return null
  if (prefixes.length > 0 && !prefixes.some((prefix) => name.startsWith(prefix))) return null
  const kept = attributes.filter((attribute) => attribute.startsWith('peeled:') ? peel : symrefs)
  return kept.length === attributes.length ? packet : encodePacket(Buffer.from(`${[id, name, ...kept].join(' ')}\n`, 'latin1'))
}
