/**
 * Clients that only hold connections, in a process of their own: `faults-crowd.ts PORT IDLE SLOW`. Half of the idle ones have had
 * an answer and keep their connection, half have never said a word; the slow ones send one byte of a header every second. What the
 * server closes is opened again. Tells by IPC how many are there, every time that it is asked.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const [port, idle, slow] = process.argv.slice(2).map(Number) as [number, number, number]
/** Connections that are being opened at the same time. */
const AT_ONCE = 200
const REQUEST = 'GET /app.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: localhost\r\nGit-Protocol: version=2\r\n\r\n'
const HEADER = 'GET /app.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: localhost\r\nX-Slow: '
const open = new Set<Socket>()
const slowOnes = new Set<Socket>()
let reopened = 0

async function hold (kind: 'asked' | 'silent' | 'slow'): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  if (kind === 'asked') {
    socket.write(REQUEST)
    await once(socket, 'data')
  }
  if (kind === 'slow') {
    socket.write(HEADER)
    slowOnes.add(socket)
  }
  socket.resume()
  open.add(socket)
  socket.once('close', () => {
    open.delete(socket)
    slowOnes.delete(socket)
    reopened++
    hold(kind).catch(() => {})
  })
}

const kinds = [...Array<'slow'>(slow).fill('slow'), ...Array.from({ length: idle }, (_, i) => i % 2 === 0 ? 'asked' as const : 'silent' as const)]
await Promise.all(Array.from({ length: AT_ONCE }, async () => {
  for (let kind = kinds.pop(); kind !== undefined; kind = kinds.pop()) await hold(kind)
}))
// Spread over the second, as slow clients are.
let turn = 0
setInterval(() => {
  let i = 0
  for (const socket of slowOnes) if (i++ % 10 === turn % 10) socket.write('x')
  turn++
}, 100)
process.on('message', () => process.send?.({ open: open.size, slow: slowOnes.size, reopened }))
process.on('disconnect', () => process.exit())
process.send?.({ open: open.size, slow: slowOnes.size, reopened })
