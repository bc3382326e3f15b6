/**
 * The helper: a process with a small heap that starts git for the server, because starting a process copies the page
 * tables of the one that starts it and stops its event loop meanwhile.
 *
 * The server's connections become git's stdin and stdout; what goes through them never passes here.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pipeline, type Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { endOrphans } from './end-process.ts'
import { exitOf, lowerPriority } from './exit.ts'
import { removeLeftFolders, SPAWNER_FOLDER } from './left-folders.ts'
import { Outlet } from './outlet.ts'
import type { HelperMessage, PartRequest, StartRequest } from './spawner-messages.ts'

/** Connections wait here while a git is being started; the system allows what it likes of it. */
const BACKLOG = 4_096
/** Characters that mkdtemp appends. */
const RANDOM_SUFFIX = 6
/** sockaddr_un holds 104 bytes on macOS and 108 on Linux, the final NUL included. */
const MAX_SOCKET_PATH = 103
/** Longest request in characters. Linux allows 2 MiB of arguments and environment. */
const MAX_REQUEST = 8 * 1024 * 1024

/** After a server's death every helper has ended what it ran within this many milliseconds. */
const ALL_ENDED = 2_000

/** Milliseconds between two looks at whether the server still lives. */
const LOOK = 500

/** The connections of a request. */
interface Parts { request?: StartRequest, stdout?: Socket, stdin?: Socket, channel?: Socket, outlet?: Outlet }

/** Requests of which some connection has not come yet. */
const incomplete = new Map<number, Parts>()
/** Running gits: their process groups and ends. */
const running = new Map<number, Promise<unknown>>()
/** Those of running gits. */
const outlets = new Set<Outlet>()
/** Folders of hooks that the server removes while it lives. */
const hookFolders = new Set<string>()
let looking: NodeJS.Timeout | undefined
let isEnding = false

// Node hands this on to every child, whatever environment it is given.
delete process.env['NODE_V8_COVERAGE']

// The server decides when this process ends: a signal to all of a service's processes must not cut the transfers
// that the server still finishes.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

const server = createServer(readRequest)
// Out of descriptors: the server notices that its connection was closed.
server.on('error', (error) => { if (!server.listening) giveUp(error) })
const folder = makeFolder()
const path = join(folder, 'socket')
server.listen({ path, backlog: BACKLOG }, () => {
  tell({ type: 'ready', socket: path })
  removeLeftFolders(folder)
})

// The server may have been gone before this process could know.
if (process.connected) process.once('disconnect', endAll)
else endAll()

async function endAll (): Promise<void> {
  if (isEnding) return
  isEnding = true
  server.close()
  for (const outlet of outlets) outlet.drain()
  await endOrphans(new Set(running.keys()), Promise.all(running.values()))
  await rm(folder, { recursive: true, force: true }).catch(() => {})
  await removeHooks([...hookFolders].filter((hooks) => existsSync(hooks)))
  process.exit()
}

/** Without its hooks a push is accepted that they would have refused: they go last, when no git of any helper is left. */
async function removeHooks (folders: string[]): Promise<void> {
  if (folders.length > 0) await delay(ALL_ENDED)
  for (const hooks of folders) await rm(hooks, { recursive: true, force: true }).catch(() => {})
}

/** Only this user may enter it, and so connect. Made here, because whoever removes it must know of it. */
function makeFolder (): string {
  const wish = join(tmpdir(), SPAWNER_FOLDER)
  try {
    return mkdtempSync(Buffer.byteLength(join(wish, 'socket')) + RANDOM_SUFFIX > MAX_SOCKET_PATH ? join('/tmp', basename(wish)) : wish)
  } catch (error) {
    return giveUp(error as Error)
  }
}

/** The last words are for the one who starts the server. */
function giveUp ({ message }: Error): never {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}

function readRequest (socket: Socket): void {
  let line = ''
  socket.setEncoding('utf8')
  socket.on('error', () => {})
  socket.on('data', function onData (part: string): unknown {
    line += part
    if (line.length > MAX_REQUEST) return socket.destroy()
    if (!line.endsWith('\n')) return undefined
    socket.off('data', onData)
    // The server sends nothing more until git has started, so that all of it is git's.
    socket.pause()
    try {
      return arrived(socket, JSON.parse(line))
    } catch {
      return socket.destroy()
    }
  })
}

function arrived (socket: Socket, request: StartRequest | PartRequest): void {
  const { id } = request
  const parts: Parts = incomplete.get(id) ?? {}
  if ('part' in request) parts[request.part] = socket
  else if (request.write) Object.assign(parts, { request, outlet: new Outlet(path, id, socket, (error) => abandon(id, parts, error)) })
  else Object.assign(parts, { request, stdout: socket })
  incomplete.delete(id)
  if (parts.stdout !== undefined) parts.outlet?.arrived()
  if (isComplete(parts)) return start(parts)
  incomplete.set(id, parts)
  socket.once('close', () => abandon(id, parts, new Error('the connection was closed')))
}

/** Nothing comes of it any more, unless git has all of it already. */
function abandon (id: number, parts: Parts, { code, message }: NodeJS.ErrnoException): void {
  if (incomplete.get(id) !== parts) return
  incomplete.delete(id)
  parts.outlet?.close()
  tell({ type: 'failed', id, code, message })
}

function isComplete (parts: Parts): parts is Required<Pick<Parts, 'request' | 'stdout'>> & Parts {
  const { request, stdout, stdin, channel } = parts
  if (request === undefined || stdout === undefined) return false
  return (stdin !== undefined || !request.input) && (channel !== undefined || request.hookFolder === undefined)
}

function start ({ request, stdin, stdout, channel, outlet }: Required<Pick<Parts, 'request' | 'stdout'>> & Parts): void {
  const { id, path, args, env, niceness, hookFolder } = request
  const failed = ({ code, message }: NodeJS.ErrnoException): void => {
    channel?.destroy()
    outlet?.close()
    tell({ type: 'failed', id, code, message })
  }
  try {
    // The server gave up waiting, or is gone.
    if (!process.connected || [stdin, stdout, channel].some((socket) => socket?.destroyed)) throw new Error('the connection was closed')
    const more = hookFolder === undefined ? [] : ['pipe' as const]
    needDescriptors(2 * (1 + more.length) + 2)
    // libuv makes descriptors 0 to 2 blocking in the child, as git expects them.
    const child = spawn(path, args, { env, cwd: '/', detached: true, stdio: [stdin ?? 'ignore', stdout, 'pipe', ...more] })
    child.once('error', failed)
    if (hookFolder !== undefined) hookFolders.add(hookFolder)
    if (child.pid === undefined) return
    if (outlet !== undefined) keep(id, outlet, child)
    watch(id, child.pid, child, niceness)
    if (channel !== undefined) relay(channel, child)
  } catch (error) {
    failed(error as Error)
  } finally {
    // git has its own descriptors by now; these would keep its output open after its end.
    stdin?.destroy()
    stdout.destroy()
  }
}

/**
 * Node leaves the pipes of a process open that it could not start for want of descriptors (ChildProcess.spawn): two for each
 * pipe and two for libuv have to be there.
 *
 * @throws Error with the code EMFILE or ENFILE.
 */
function needDescriptors (count: number): void {
  const open: number[] = []
  try {
    while (open.length < count) open.push(openSync('/dev/null', 'r'))
  } finally {
    for (const descriptor of open) closeSync(descriptor)
  }
}

/** Only 0 to 2 are made blocking, and a shell fails on any other descriptor that is not: hooks get a pipe of this process. */
function relay (channel: Socket, child: ChildProcess): void {
  const hooks = child.stdio[3] as Duplex
  pipeline(channel, hooks, channel, () => {})
  // git may leave something in the background that keeps the other end open.
  child.once('exit', () => hooks.destroy())
}

/** Hands the outlet to the server; it is closed when its git has ended. */
function keep (id: number, outlet: Outlet, child: ChildProcess): void {
  outlets.add(outlet)
  // Node does not tell of the channel's end while a handle that was sent is not acknowledged (internal/child_process.js, disconnect).
  looking ??= setInterval(() => { if (!process.connected) endAll() }, LOOK)
  // What is closed before its turn has come is not sent.
  const sent = new Promise<void>((resolve) => tell({ type: 'stdout', id }, outlet.socket, resolve))
  const ended = new Promise((resolve) => child.once('exit', resolve))
  Promise.all([sent, ended]).then(() => {
    outlets.delete(outlet)
    outlet.close()
  })
}

function watch (id: number, pid: number, child: ChildProcess, niceness: number): void {
  lowerPriority(pid, niceness)
  tell({ type: 'started', id, pid })
  const exited = exitOf(child).then(({ code, signal, stderr }) => {
    running.delete(pid)
    tell({ type: 'exited', id, code, signal, stderr })
  })
  running.set(pid, exited)
}

function tell (message: HelperMessage, handle?: Socket, sent = (): void => {}): void {
  // Without a server there is nobody to tell; 'disconnect' does the rest.
  if (process.connected) process.send?.(message, handle, { keepOpen: true }, sent)
}
