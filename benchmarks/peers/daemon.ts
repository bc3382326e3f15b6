import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { access, constants } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Absent } from './peer.ts'
import { processTree } from './processes.ts'

/** Debian keeps servers where an ordinary user's PATH does not lead. */
const FOLDERS = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/local/sbin']

const running = new Set<ChildProcess>()
let stopping = false

/** The absolute path of a program, or an {@link Absent} that says how to get it. */
export async function findProgram (name: string, debianPackage: string): Promise<string> {
  for (const folder of FOLDERS) {
    const path = join(folder, name)
    if (folder !== '' && await access(path, constants.X_OK).then(() => true, () => false)) return path
  }
  throw new Absent(`${name} is not installed: benchmarks/peers/install, or apt-get install ${debianPackage}`)
}

/** Starts a server in the foreground and waits until it listens. What it says on stderr is shown only if it fails. */
export async function startDaemon (program: string, args: string[], env: Record<string, string>, address: number | string): Promise<ChildProcess & { pid: number }> {
  if (stopping) throw new Error('interrupted')
  // In a group of its own: Ctrl-C reaches only the benchmark, which then ends its servers in order.
  const child = spawn(program, args, { cwd: '/', env, detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
  running.add(child)
  let errors = ''
  child.stderr.on('data', (chunk) => { errors = `${errors}${String(chunk)}`.slice(-4096) })
  child.on('error', (error) => { errors += error.message })
  for (const end = Date.now() + 20_000; !await accepts(address); await sleep(20)) {
    if (child.exitCode !== null || child.pid === undefined || Date.now() > end) throw new Error(`${program} does not listen: ${errors}`)
  }
  return child as ChildProcess & { pid: number }
}

/** A program of the benchmark itself, so that it ends when the benchmark is interrupted. */
export function track (child: ChildProcess): void {
  if (stopping) child.kill()
  running.add(child)
  child.once('close', () => running.delete(child))
}

/** Ends everything that was started here, and everything that those started. */
export async function stopAll (): Promise<void> {
  stopping = true
  await Promise.all([...running].map(stop))
}

/** Ends one server, and everything that it started. */
export async function stopDaemon (pid: number): Promise<void> {
  const child = [...running].find((each) => each.pid === pid)
  if (child !== undefined) await stop(child)
}

async function stop (child: ChildProcess): Promise<void> {
  running.delete(child)
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const family = (await processTree([child.pid])).map(({ pid }) => pid)
  const exited = once(child, 'exit')
  child.kill()
  await Promise.race([exited, sleep(5000)])
  // fcgiwrap leaves its workers behind.
  for (const pid of family) signal(pid, 'SIGTERM')
  for (let wait = 0; wait < 20 && family.some((pid) => signal(pid, 0)); wait++) await sleep(50)
  for (const pid of family) signal(pid, 'SIGKILL')
}

function signal (pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}

export async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function accepts (address: number | string): Promise<boolean> {
  const socket = typeof address === 'number' ? connect(address, '127.0.0.1') : connect(address)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
