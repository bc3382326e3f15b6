import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'

/** What the requests ask for. */
export interface Target {
  port: number
  /** The id that a clone wants. */
  tip: string
  /** The name of a pack of the repository. */
  packName: string
  /** A pack that a push may bring. */
  pack: Buffer
  /** Its tip. */
  pushed: string
}

type Ending = 'at once' | 'at the first byte' | 'later'
type Kind = [name: string, ending: Ending, request: (target: Target, random: () => number) => Buffer | string]

const ZERO = '0'.repeat(40)

/** Every way to leave that is different for the server. A part of a request leaves within it, a whole one within its answer. */
export const KINDS: Kind[] = [
  ['GET within its header', 'later', (_, random) => part(get('info/refs?service=git-upload-pack'), random)],
  ['POST within its header', 'later', (_, random) => part(head('upload-pack', ['Content-Length: 100']), random)],
  ['discovery from memory', 'at once', () => get('info/refs?service=git-upload-pack', ['Git-Protocol: version=2'])],
  ['discovery within its answer', 'at the first byte', () => get('info/refs?service=git-receive-pack')],
  ['discovery that git answers', 'at once', () => get('info/refs?service=git-upload-pack', ['Git-Protocol: version=2:x'])],
  ['dumb listing', 'later', () => get('info/refs')],
  ['dumb HEAD', 'at once', () => get('HEAD')],
  ['dumb pack within its answer', 'at the first byte', ({ packName }) => get(`objects/pack/${packName}`)],
  ['several requests at once', 'later', () => Buffer.concat([get('HEAD'), get('info/refs'), get('objects/info/packs'), get('info/refs?service=git-upload-pack')])],
  ['fetch within its body', 'later', ({ tip }, random) => post('upload-pack', part(clone(tip), random), clone(tip).length + 1, ['Git-Protocol: version=2'])],
  ['fetch within its compressed body', 'later', ({ tip }) => post('upload-pack', gzipSync(clone(tip)).subarray(0, 40), 400, ['Git-Protocol: version=2', 'Content-Encoding: gzip'])],
  ['fetch within a chunk', 'later', ({ tip }) => Buffer.concat([head('upload-pack', ['Git-Protocol: version=2', 'Transfer-Encoding: chunked']), Buffer.from('fff\r\n'), clone(tip)])],
  ['clone while git counts', 'later', ({ tip }, random) => whole('upload-pack', clone(tip, random), ['Git-Protocol: version=2'])],
  ['clone within its pack', 'at the first byte', ({ tip }, random) => whole('upload-pack', clone(tip, random), ['Git-Protocol: version=2'])],
  ['clone that others share', 'at the first byte', ({ tip }) => whole('upload-pack', clone(tip), ['Git-Protocol: version=2'])],
  ['push within its commands', 'later', ({ pushed }, random) => post('receive-pack', part(commands(pushed, random), random), 1_000)],
  ['push before its pack', 'later', ({ pushed }, random) => post('receive-pack', commands(pushed, random), 100_000)],
  ['push within its pack', 'later', ({ pushed, pack }, random) => post('receive-pack', Buffer.concat([commands(pushed, random), part(pack, random)]), 1_000_000)],
  ['push of a broken pack', 'at the first byte', ({ pushed, pack }, random) => whole('receive-pack', Buffer.concat([commands(pushed, random), pack.subarray(0, -20), Buffer.alloc(20)]))],
  ['archive within its answer', 'at the first byte', () => whole('upload-archive', Buffer.concat([packet('argument HEAD'), packet('argument --format=tar'), Buffer.from('0000')]))]
]

/** Sends one request and leaves. */
export async function abort (target: Target, [, ending, request]: Kind, random: () => number): Promise<void> {
  const socket = connect(target.port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(request(target, random))
  if (ending === 'at the first byte') await firstByte(socket)
  if (ending === 'later') await sleep(random() * 40)
  const closed = once(socket, 'close')
  // By an end, as programs do that finish, or by a reset.
  if (random() < 0.5) socket.destroy()
  else socket.resetAndDestroy()
  await closed
}

async function firstByte (socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => { socket.once('readable', resolve).once('close', () => resolve()) })
}

function get (path: string, headers: string[] = []): Buffer {
  return Buffer.from([`GET /app.git/${path} HTTP/1.1`, 'Host: localhost', ...headers, '', ''].join('\r\n'))
}

function head (service: string, headers: string[]): Buffer {
  return Buffer.from([`POST /app.git/git-${service} HTTP/1.1`, 'Host: localhost', `Content-Type: application/x-git-${service}-request`, ...headers, '', ''].join('\r\n'))
}

function post (service: string, body: Buffer, length: number, headers: string[] = []): Buffer {
  return Buffer.concat([head(service, [...headers, `Content-Length: ${length}`]), body])
}

function whole (service: string, body: Buffer, headers: string[] = []): Buffer {
  return post(service, body, body.length, headers)
}

function part (bytes: Buffer, random: () => number): Buffer {
  return bytes.subarray(0, 1 + Math.floor(random() * (bytes.length - 1)))
}

/** With a have that nobody has, no clone is like another one. */
function clone (tip: string, random?: () => number): Buffer {
  const have = random === undefined ? [] : [packet(`have ${hex(random)}\n`)]
  return Buffer.concat([packet('command=fetch'), Buffer.from('0001'), packet('no-progress'), packet(`want ${tip}\n`), ...have, packet('done\n'), Buffer.from('0000')])
}

function commands (id: string, random: () => number): Buffer {
  return Buffer.concat([packet(`${ZERO} ${id} refs/heads/aborted-${hex(random)}\0 report-status side-band-64k`), Buffer.from('0000')])
}

function hex (random: () => number): string {
  return Array.from({ length: 40 }, () => Math.floor(random() * 16).toString(16)).join('')
}

function packet (payload: string): Buffer {
  return Buffer.from(`${(Buffer.byteLength(payload) + 4).toString(16).padStart(4, '0')}${payload}`)
}
