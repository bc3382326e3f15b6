import { gunzipSync, gzipSync } from 'node:zlib'

export interface Recorded {
  head: string
  /** Without framing, but packed as it was. */
  body: Buffer
}

/** The requests that a client sent over one connection, one after the other; heads with their final empty line. */
export function splitRequests (bytes: Buffer): Recorded[] {
  const requests: Recorded[] = []
  for (let at = 0, end; (end = bytes.indexOf('\r\n\r\n', at)) >= 0;) {
    const head = bytes.toString('latin1', at, end + 4)
    const { body, next } = /^transfer-encoding: *chunked/im.test(head) ? dechunk(bytes, end + 4) : counted(bytes, end + 4, head)
    requests.push({ head, body })
    at = next
  }
  return requests
}

/**
 * The same request with another body, so that it arrives whole and what is wrong with it is for the protocol to find: what is packed is
 * packed again, what is counted is counted again, and what came in chunks comes in those of `chunk` bytes.
 */
export function joinRequest (head: string, body: Buffer, chunk: number): Buffer {
  if (/^transfer-encoding: *chunked/im.test(head)) return Buffer.concat([Buffer.from(head, 'latin1'), ...chunks(body, chunk), Buffer.from('0\r\n\r\n')])
  return Buffer.concat([Buffer.from(head.replace(/^(content-length:) *\d+/im, `$1 ${body.length}`), 'latin1'), body])
}

/** Applies `change` to a body as git reads it. */
export function changeBody (head: string, body: Buffer, change: (body: Buffer) => Buffer): Buffer {
  if (!/^content-encoding: *gzip/im.test(head)) return change(body)
  return gzipSync(change(gunzipSync(body)))
}

function counted (bytes: Buffer, at: number, head: string): { body: Buffer, next: number } {
  const next = at + Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
  return { body: bytes.subarray(at, next), next }
}

function dechunk (bytes: Buffer, at: number): { body: Buffer, next: number } {
  const parts = []
  for (;;) {
    const end = bytes.indexOf('\r\n', at)
    const length = end < 0 ? 0 : Number.parseInt(bytes.toString('latin1', at, end), 16)
    if (!(length > 0)) return { body: Buffer.concat(parts), next: end < 0 ? bytes.length : end + 4 }
    parts.push(bytes.subarray(end + 2, end + 2 + length))
    at = end + 2 + length + 2
  }
}

function * chunks (body: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < body.length; at += size) {
    const part = body.subarray(at, at + size)
    yield Buffer.from(`${part.length.toString(16)}\r\n`)
    yield part
    yield Buffer.from('\r\n')
  }
}
