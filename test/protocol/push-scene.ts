import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import { encodePacket } from '../../lib/protocol/pkt-line.ts'
import { type PushHead } from '../../lib/protocol/push-head.ts'
import { PushRequestParser, type PushParseState } from '../../lib/protocol/push-request.ts'
import { askHttpBackend } from '../fixtures/http-backend.ts'

export const ZERO: string = '0'.repeat(40)
export const ONE: string = '1'.repeat(40)
export const TWO: string = '2'.repeat(40)
export const FLUSH: { raw: string } = { raw: '0000' }

export type Line = string | Buffer | { raw: string }

/** Packets of text, and what goes between them as it is. */
export function packets (...parts: Line[]): Buffer {
  return Buffer.concat(parts.map((part) => typeof part === 'string' || Buffer.isBuffer(part) ? encodePacket(part) : Buffer.from(part.raw)))
}

/** The answer to all of `bytes`, given at once. */
export function parse (bytes: Buffer): PushParseState {
  return new PushRequestParser().push(bytes)
}

/** The head at the start of `bytes`, which must be one. */
export function headOf (bytes: Buffer): PushHead {
  const parsed = parse(bytes)
  if (parsed.state !== 'complete') throw new Error(`${parsed.state} ${'reason' in parsed ? parsed.reason : ''}`)
  return parsed.head
}

export const sizes: fc.Arbitrary<number[]> = fc.array(fc.integer({ min: 1, max: 70 }), { maxLength: 60 })

/** `bytes` in pieces of these sizes, the rest as the last one. */
export function pieces (bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const parts: Buffer[] = []
  let offset = 0
  for (const length of [...lengths, bytes.length]) {
    if (offset < bytes.length) parts.push(bytes.subarray(offset, offset + length))
    offset += length
  }
  return parts
}

export interface Exchanged {
  method: 'GET' | 'POST'
  target: string
  headers: Record<string, string>
  body: Buffer
}

/** Answers a request; undefined leaves it to the real `git http-backend` on `root`. */
export type Answering = (request: Exchanged) => Promise<Buffer | undefined> | Buffer | undefined

/** A server of the repositories below `root` that shows every request to `answer`; gives its address. */
export async function serve (t: TestContext, root: string, answer: Answering): Promise<string> {
  const server = createServer((request, response) => {
    exchange(request, root, answer).then(({ status, type, body }) => {
      response.writeHead(status, { 'content-type': type, 'content-length': body.length }).end(body)
    }, (error: unknown) => { response.writeHead(500).end(String(error)) })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function exchange (request: IncomingMessage, root: string, answer: Answering): Promise<{ status: number, type: string, body: Buffer }> {
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
  const asked: Exchanged = { method: request.method === 'POST' ? 'POST' : 'GET', target: request.url ?? '', headers, body: await buffer(request) }
  const own = await answer(asked)
  if (own !== undefined) return { status: 200, type: `application/x-git-receive-pack-${asked.method === 'GET' ? 'advertisement' : 'result'}`, body: own }
  const given = await ask(root, asked)
  return { status: given.status, type: given.headers['content-type'] ?? 'text/plain', body: given.body }
}

/** The real server's answer. */
export async function ask (root: string, request: Exchanged): Promise<Awaited<ReturnType<typeof askHttpBackend>>> {
  return await askHttpBackend(root, request, { REMOTE_USER: 'ann' })
}

/** True for the request that carries a push. */
export function isPush ({ method, body }: Exchanged): boolean {
  return method === 'POST' && body.length > 4
}
