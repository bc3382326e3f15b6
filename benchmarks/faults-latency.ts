import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** How long answers took, in milliseconds. */
export interface Latency {
  p50: number
  p99: number
  max: number
  requests: number
}

const REQUEST = 'GET /app.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: localhost\r\nGit-Protocol: version=2\r\n\r\n'

/**
 * Asks for one discovery after the other over `connections` connections that stay open. Requests arrive at random moments, `perSecond` of
 * them, whether or not those before have been answered; one that finds every connection taken waits, and its waiting counts.
 */
export async function measureLatency (port: number, { connections, perSecond, seconds, seed }: { connections: number, perSecond: number, seconds: number, seed: number }): Promise<Latency> {
  const free = await Promise.all(Array.from({ length: connections }, async () => await Connection.open(port)))
  const all = [...free]
  const waiting: number[] = []
  const times: number[] = []
  const ask = (connection: Connection, since: number): void => {
    connection.ask(() => {
      times.push(performance.now() - since)
      const next = waiting.shift()
      if (next === undefined) free.push(connection)
      else ask(connection, next)
    })
  }
  const random = generator(seed)
  const end = performance.now() + seconds * 1000
  // Exponential distances make a Poisson process.
  for (let next = performance.now(); next < end; next += -Math.log(1 - random()) * 1000 / perSecond) {
    const ahead = next - performance.now()
    if (ahead > 0) await sleep(ahead)
    const connection = free.pop()
    // A generator that woke up late is no fault of the server.
    if (connection === undefined) waiting.push(performance.now())
    else ask(connection, performance.now())
  }
  while (free.length < all.length) await sleep(10)
  for (const connection of all) connection.close()
  times.sort((a, b) => a - b)
  const at = (share: number): number => Math.round((times[Math.min(times.length - 1, Math.floor(times.length * share))] as number) * 1000) / 1000
  return { p50: at(0.5), p99: at(0.99), max: at(1), requests: times.length }
}

/** One connection that stays open. Answers have a Content-Length, all of them the same. */
class Connection {
  readonly #socket: Socket
  #length = 0
  #received = 0
  #onAnswer: () => void = () => {}

  private constructor (socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      if (this.#received === 0) this.#length = lengthOf(chunk)
      this.#received += chunk.length
      if (this.#received < this.#length) return
      this.#received = 0
      this.#onAnswer()
    })
    socket.on('error', (error) => { throw error })
  }

  static async open (port: number): Promise<Connection> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const connection = new Connection(socket)
    await new Promise<void>((resolve) => connection.ask(resolve))
    return connection
  }

  ask (onAnswer: () => void): void {
    this.#onAnswer = onAnswer
    this.#socket.write(REQUEST)
  }

  close (): void {
    this.#socket.destroy()
  }
}

/** Bytes of a whole answer. */
function lengthOf (chunk: Buffer): number {
  const head = chunk.toString('latin1')
  const [, length] = /^HTTP\/1\.1 200 [^]*?\r\ncontent-length: (\d+)\r\n/i.exec(head) ?? []
  const end = head.indexOf('\r\n\r\n')
  if (length === undefined || end < 0) throw new Error(`not the answer to a discovery: ${head.slice(0, 200)}`)
  return end + 4 + Number(length)
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function generator (seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ state >>> 15, state | 1)
    value ^= value + Math.imul(value ^ value >>> 7, value | 61)
    return ((value ^ value >>> 14) >>> 0) / 2 ** 32
  }
}
