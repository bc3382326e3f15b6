import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { pipeline } from 'node:stream'
import type { Cleanup } from './proxy.ts'

/** How long bytes may take that should come at once, before the test fails, in milliseconds. */
const DEADLINE = 20_000

export interface Tap {
  port: number
  /** Bytes that came from the connecting side so far. */
  readonly bytes: number
  /** Bytes that were answered so far. */
  readonly answered: number
  /** Resolves as soon as `bytes` is at least `count`. */
  received (count: number): Promise<void>
}

/** A TCP forwarder to `port` that counts what passes. With `localAddress`, the other side sees that as its client. */
export async function tap (t: Cleanup, port: number, localAddress = '127.0.0.1'): Promise<Tap> {
  let bytes = 0
  let answered = 0
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const target = connect({ host: '127.0.0.1', port, localAddress })
    for (const socket of [client, target]) {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
    }
    client.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      server.emit('passed')
    })
    target.on('data', (chunk: Buffer) => { answered += chunk.length })
    pipeline(client, target, client, () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    server.close()
    for (const socket of sockets) socket.destroy()
    await once(server, 'close')
  })
  return {
    port: (server.address() as AddressInfo).port,
    get bytes () { return bytes },
    get answered () { return answered },
    async received (count) {
      const signal = AbortSignal.timeout(DEADLINE)
      const arrived = (): boolean => bytes >= count
      while (!arrived()) {
        await once(server, 'passed', { signal }).catch(() => { throw new Error(`only ${bytes} of ${count} bytes have passed`) })
      }
    }
  }
}
