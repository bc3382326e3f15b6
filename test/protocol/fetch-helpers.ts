import { FetchRequestParser, type FetchRequest, type ParseState } from '../../lib/protocol/fetch-request.ts'
import { encodePacket } from '../../lib/protocol/pkt-line.ts'

/** A line, or bytes as they are. */
export type Part = string | { raw: string }

export const FLUSH: Part = { raw: '0000' }
export const DELIMITER: Part = { raw: '0001' }
export const RESPONSE_END: Part = { raw: '0002' }

/** Object ids that mean nothing. */
export const [A = '', B = '', C = ''] = ['a1', 'b2', 'c3'].map((pair) => pair.repeat(20))
export const [LONG_A = '', LONG_B = ''] = ['a1', 'b2'].map((pair) => pair.repeat(32))

export function bytesOf (...parts: Part[]): Buffer {
  return Buffer.concat(parts.map((part) => typeof part === 'string' ? encodePacket(part) : Buffer.from(part.raw, 'latin1')))
}

/** A v2 fetch with these arguments. */
export function v2 (...args: Part[]): Part[] {
  return ['command=fetch', 'object-format=sha1', DELIMITER, ...args, FLUSH]
}

export interface Outcome {
  /** After the last byte, before the end. */
  open: ParseState
  state: ParseState
  request: FetchRequest
  digest: string | null
  dependsOn: string
}

/** Parses `body`, cut into pieces of these sizes, over and over; in one piece when there are none. */
export function parse (protocol: 0 | 1 | 2, body: Buffer, sizes: number[] = [], maxBytes?: number): Outcome {
  const parser = new FetchRequestParser(protocol, maxBytes)
  for (let offset = 0, i = 0; offset < body.length; i++) {
    const size = sizes.length === 0 ? body.length : sizes[i % sizes.length] ?? 1
    // A copy that is wiped afterwards: the parser may not hold on to what it was given.
    const chunk = Buffer.from(body.subarray(offset, offset + size))
    parser.push(chunk)
    chunk.fill(0)
    offset += size
  }
  const open = parser.push(Buffer.alloc(0))
  return { open, state: parser.end(), request: parser.request, digest: parser.digest(), dependsOn: parser.dependsOn }
}
