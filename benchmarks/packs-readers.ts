/**
 * Clients that read fetch answers as fast as they come, or at a rate, and keep none of it. In a process of its own, so that
 * they do not wait for the benchmark nor it for them: it forks this file and sends it one {@link Job}.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { HttpRequest } from './discovery-workloads.ts'
import { Demultiplexer } from './packs-demultiplex.ts'
import { ResponseReader } from './packs-http.ts'
import { track } from './peers/daemon.ts'

export interface Job {
  port: number
  /** Sent in turn, each on a connection of its own. */
  requests: HttpRequest[]
  /** How many at once. */
  connections: number
  /** Ends after so many answers ... */
  answers?: number
  /** ... or after so many seconds, in the middle of whatever is being read. */
  seconds?: number
  /** Look for the pack in each answer and compute its checksum. */
  check: boolean
  /** Of each connection; undefined: no limit. */
  bytesPerSecond?: number
}

export interface Outcome {
  seconds: number
  /** Of bodies, unfinished ones included. */
  bytes: number
  /** Complete answers. */
  answers: number
  /** Bytes of each of their packs, if they were checked. */
  packs: number[]
  errors: string[]
}

/** Long enough for 64 clones at once. */
const SILENCE = 300_000
const BUFFER = 256 * 1024
/** Milliseconds between two looks at how much a slow reader has read. */
const STEP = 20

export async function read (job: Job): Promise<Outcome> {
  const child = fork(fileURLToPath(import.meta.url), ['readers'])
  track(child)
  child.send(job)
  const [outcome] = await Promise.race([once(child, 'message'), once(child, 'exit').then(([code]) => { throw new Error(`the readers ended: ${code}`) })]) as [Outcome]
  if (child.connected) child.disconnect()
  return outcome
}

async function work (job: Job): Promise<Outcome> {
  const outcome: Outcome = { seconds: 0, bytes: 0, answers: 0, packs: [], errors: [] }
  const started = performance.now()
  const end = job.seconds === undefined ? Infinity : started + job.seconds * 1000
  let next = 0
  await Promise.all(Array.from({ length: job.connections }, async () => {
    while (performance.now() < end && next < (job.answers ?? Infinity)) {
      await readOne(job, job.requests[next++ % job.requests.length] as HttpRequest, end, outcome).catch((error: Error) => { outcome.errors.push(error.message) })
      if (outcome.errors.length > 100) return
    }
  }))
  outcome.seconds = (performance.now() - started) / 1000
  return outcome
}

async function readOne (job: Job, request: HttpRequest, end: number, outcome: Outcome): Promise<void> {
  const pack = job.check ? new Demultiplexer() : null
  let received = 0
  const response = new ResponseReader((body) => {
    received += body.length
    outcome.bytes += body.length
    pack?.push(body)
  })
  let failure: Error | undefined
  const socket = connect({
    port: job.port,
    host: '127.0.0.1',
    onread: {
      buffer: Buffer.allocUnsafe(BUFFER),
      callback: (length, buffer) => {
        try {
          response.push(Buffer.from(buffer.buffer, buffer.byteOffset, length))
        } catch (error) {
          failure = error as Error
        }
        if (response.complete || failure !== undefined) socket.destroy()
        return job.bytesPerSecond === undefined
      }
    }
  })
  socket.on('error', (error) => { failure ??= error })
  socket.setTimeout(SILENCE, () => socket.destroy(new Error('silence')))
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.write(head(request) + request.body)
  let isOver = false
  const deadline = end === Infinity
    ? undefined
    : setTimeout(() => {
      isOver = true
      socket.destroy()
    }, end - performance.now())
  if (job.bytesPerSecond !== undefined) await pace(() => { if (!socket.destroyed) socket.resume() }, () => received, job.bytesPerSecond, closed)
  await closed
  clearTimeout(deadline)
  if (failure !== undefined) throw failure
  if (!response.complete) {
    // A timer may be early by a part of a millisecond.
    if (isOver) return
    throw new Error(`the answer stopped after ${received} bytes`)
  }
  if (response.status !== 200) throw new Error(`status ${response.status}`)
  if (pack?.intact === false) throw new Error(`the pack is broken: ${pack.packBytes} bytes ${pack.error}`)
  outcome.answers++
  if (pack !== null) outcome.packs.push(pack.packBytes)
}

/** Lets the socket read on whenever less has come than the rate permits. */
async function pace (resume: () => void, received: () => number, rate: number, closed: Promise<void>): Promise<void> {
  const started = performance.now()
  const timer = setInterval(() => {
    if (received() < rate * (performance.now() - started) / 1000) resume()
  }, STEP)
  await closed
  clearInterval(timer)
}

function head ({ path, headers, body = '' }: HttpRequest): string {
  const lines = Object.entries({ Host: 'localhost', ...headers, 'Content-Length': body.length, Connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`)
  return `POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`
}

if (process.argv[2] === 'readers') {
  process.once('message', (job: Job) => {
    work(job).then((outcome) => {
      outcome.errors.splice(10)
      process.send?.(outcome, () => process.disconnect())
    }, (error) => {
      console.error(error)
      process.exit(1)
    })
  })
}
