/** Requests that never end: a server in a process of its own takes them with constant memory. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { createGzip } from 'node:zlib'
import { Readable } from 'node:stream'
import { temporaryFolder } from '../fixtures/folder.ts'
import { eventually } from '../fixtures/processes.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { startServerProcess } from '../fixtures/server-process.ts'
import { packet, ZERO } from './helpers.ts'

const MIB = 1024 * 1024
const COUNT = 1_000_000
const id = (n: number): string => n.toString(16).padStart(40, '0')

/** Packets that are made while they are sent; `start` and then a line for each number. */
function * many (start: Buffer, line: (n: number) => string, count = COUNT): Generator<Buffer> {
  yield start
  for (let n = 1; n <= count; n += 500) yield Buffer.concat(Array.from({ length: 500 }, (_, i) => packet(line(n + i))))
}

const ROWS: Array<{ what: string, service: string, protocol?: number, body: () => Generator<Buffer>, gzip?: boolean }> = [
  { what: 'a million wants by v2', service: 'upload-pack', protocol: 2, body: () => many(Buffer.from(`${packet('command=fetch')}0001`), (n) => `want ${id(n)}\n`) },
  { what: 'a million wants by v2, compressed', service: 'upload-pack', protocol: 2, gzip: true, body: () => many(Buffer.from(`${packet('command=fetch')}0001`), (n) => `want ${id(n)}\n`) },
  { what: 'a million haves by v2', service: 'upload-pack', protocol: 2, body: () => many(Buffer.from(`${packet('command=fetch')}0001`), (n) => `have ${id(n)}\n`) },
  { what: 'a million ref prefixes', service: 'upload-pack', protocol: 2, body: () => many(Buffer.from(`${packet('command=ls-refs')}0001`), (n) => `ref-prefix refs/heads/${n}\n`) },
  { what: 'a million capabilities', service: 'upload-pack', protocol: 2, body: () => many(packet('command=fetch'), (n) => `agent=${n}${'x'.repeat(50)}`) },
  { what: 'a million wants by v0', service: 'upload-pack', body: () => many(packet(`want ${id(0)} multi_ack\n`), (n) => `want ${id(n)}\n`) },
  { what: 'a million commands', service: 'receive-pack', body: () => many(packet(`${ZERO} ${id(1)} refs/heads/a\0 report-status`), (n) => `${ZERO} ${id(n)} refs/heads/${n}`) },
  { what: 'a million commands, compressed', service: 'receive-pack', gzip: true, body: () => many(packet(`${ZERO} ${id(1)} refs/heads/a\0 report-status`), (n) => `${ZERO} ${id(n)} refs/heads/${n}`) },
  { what: 'a million shallow lines', service: 'receive-pack', body: () => many(packet(`shallow ${id(0)}`), (n) => `shallow ${id(n)}`) },
  { what: 'a certificate of a million lines', service: 'receive-pack', body: () => many(packet('push-cert\0 report-status\n'), (n) => `${ZERO} ${id(n)} refs/heads/${n}\n`) },
  { what: 'a million push options', service: 'receive-pack', body: () => many(Buffer.from(`${packet(`${ZERO} ${id(1)} refs/heads/a\0 report-status push-options`)}0000`), (n) => `option-${n}${'x'.repeat(30)}`) }
]

for (const { what, service, protocol, body, gzip = false } of ROWS) {
  test(`${what}: refused, with constant memory`, async (t) => {
    const root = await temporaryFolder(t)
    await makeRepository(root, 'app.git')
    const server = await startServerProcess({ root, publicWrite: true, limits: { idleTimeout: 20_000 } })
    t.after(async () => { await server.killAll(root) })
    const { rss } = await server.look()
    await server.resetPeak()
    const socket = connect(server.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(`POST /app.git/git-${service} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-git-${service}-request\r\n` +
      `${protocol === undefined ? '' : `Git-Protocol: version=${protocol}\r\n`}${gzip ? 'Content-Encoding: gzip\r\n' : ''}Transfer-Encoding: chunked\r\n\r\n`)
    let answer = ''
    socket.on('data', (chunk: Buffer) => { answer += chunk.toString('latin1') })
    const closed = new Promise<void>((resolve) => { socket.once('close', () => resolve()) })
    const plain = Readable.from(body(), { objectMode: false })
    for await (const part of gzip ? plain.pipe(createGzip({ level: 1 })) : plain) {
      if (socket.destroyed) break
      const chunk = part as Buffer
      socket.write(`${chunk.length.toString(16)}\r\n`)
      socket.write(chunk)
      if (!socket.write('\r\n')) await Promise.race([once(socket, 'drain').catch(() => {}), closed])
    }
    if (!socket.destroyed) socket.write('0\r\n\r\n')
    await closed
    // git has an answer to an id that it does not know, and reads no further.
    // Whoever sends on for long enough loses the connection, and maybe the answer with it.
    assert.match(answer, /^(?:$|HTTP\/1\.1 (?:413 |400 |200 [^]*ERR [^]*not our ref))/)
    const grown = (await server.peak() - rss) / MIB
    assert.ok(grown < 64, `${grown} MiB`)
    await eventually(async () => (await server.look()).active === 0, 5_000, 'the operation ends')
    assert.deepEqual(server.log.filter(({ level }) => Number(level) >= 50), [])
  })
}
