import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { askHttpBackend, type Answer, type Exchange } from '../fixtures/http-backend.ts'

/** What belongs to the connection, not to the answer, or differs because we stream and offer ranges. */
const OF_THE_CONNECTION = ['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-length', 'accept-ranges', 'expires']

/** Connections are used again: thousands of questions are asked. */
const agent = new Agent({ keepAlive: true })

export async function askOurs (port: number, { method = 'GET', target, headers, body }: Exchange): Promise<Answer> {
  const outgoing = request({ port, host: '127.0.0.1', method, path: target, headers: headers ?? {}, agent })
  outgoing.end(body)
  const [response] = await once(outgoing, 'response') as [IncomingMessage]
  return { status: response.statusCode ?? 0, headers: response.headers as Record<string, string>, body: await buffer(response) }
}

/** Asserts that our answer is git's own: status, headers and bytes. Answers ours. */
export async function assertSame (port: number, root: string, exchange: Exchange, env: Record<string, string> = {}): Promise<Answer> {
  const [ours, theirs] = await Promise.all([askOurs(port, exchange), askHttpBackend(root, exchange, env)])
  const what = `${exchange.method ?? 'GET'} ${exchange.target} ${JSON.stringify(exchange.headers ?? {})}`
  assert.equal(ours.status, theirs.status, what)
  if (theirs.status >= 400) {
    // git-http-backend says nothing, we say why; that neither is cached is common to both.
    assert.equal(ours.headers['cache-control'], theirs.headers['cache-control'], what)
    assert.equal(ours.headers['allow'], theirs.headers['allow'], what)
    return ours
  }
  assert.deepEqual(comparable(ours.headers), comparable(theirs.headers), what)
  assert.equal(ours.headers['expires'] === undefined, theirs.headers['expires'] === undefined, what)
  if (exchange.method !== 'HEAD') assert.ok(joinBands(ours.body).equals(joinBands(theirs.body)), `${what}\nours:   ${show(ours.body)}\ntheirs: ${show(theirs.body)}`)
  return ours
}

/** How git cuts a pack into side-band packets depends on how its pipe was read; what is in them does not. */
function joinBands (body: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let offset = 0; offset + 4 <= body.length;) {
    const length = Number.parseInt(body.toString('latin1', offset, offset + 4), 16)
    if (!(length <= 65520)) return body
    const end = offset + Math.max(length, 4)
    parts.push(body[offset + 4] === 1 && length > 4 ? body.subarray(offset + 5, end) : body.subarray(offset, end))
    offset = end
  }
  return Buffer.concat(parts)
}

export function comparable (headers: Record<string, string>): Record<string, string> {
  const entries = Object.entries(headers).filter(([name]) => !OF_THE_CONNECTION.includes(name))
  // git writes the zone of Last-Modified as +0000, which is no HTTP date.
  return Object.fromEntries(entries.map(([name, value]) => [name, name === 'last-modified' ? value.replace('+0000', 'GMT') : value]).sort())
}

export function show (bytes: Buffer): string {
  return JSON.stringify(bytes.toString('latin1').slice(0, 2000))
}

/** One packet line. */
export function packet (text: string): string {
  return (Buffer.byteLength(text) + 4).toString(16).padStart(4, '0') + text
}

export function fetchRequest (body: string, protocol?: string): Pick<Exchange, 'method' | 'headers' | 'body'> {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/x-git-upload-pack-request', ...(protocol === undefined ? {} : { 'git-protocol': protocol }) },
    body
  }
}
