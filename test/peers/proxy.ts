import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, realpath, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { eventually } from '../fixtures/processes.ts'

export interface Proxy {
  port: number
  /** Its temporary files, those included that are open and have no name any more. */
  spooled (): Promise<string[]>
}

/** A server program and how it is configured to run in the foreground, with everything it writes below one folder. */
export interface ProxyProgram {
  path: string
  /** What an administrator would write; PORT and UPSTREAM stand for the addresses. */
  site: string
  /** The main configuration around it; `asRoot` when it must be told to give up root's rights. */
  main (folder: string, port: number, asRoot: boolean): string
  args (folder: string): string[]
}

/** Where a helper leaves its clean-up. */
export interface Cleanup {
  after (step: () => unknown): void
}

/**
 * Clean-up that runs before everything registered after this call, the last step first: the proxy goes before the server behind
 * it, and goes also when the server fails to close.
 */
export function cleanupFirst (t: TestContext): Cleanup {
  const steps: Array<() => unknown> = []
  t.after(async () => { for (const step of steps.reverse()) await step() })
  return { after: (step) => { steps.push(step) } }
}

/** Starts the program between a port of its own and `upstream`; stopped when the test ends. `edit` changes the site's configuration. */
export async function startProxy (t: Cleanup, program: ProxyProgram, upstream: string, edit = (site: string): string => site): Promise<Proxy> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'fastify-git-http-proxy-')))
  let stop = async (): Promise<void> => {}
  t.after(async () => {
    await stop()
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  })
  const temporary = join(folder, 'temporary')
  await mkdir(temporary)
  // Started by root, the program drops to another user, who must get here.
  await chmod(folder, 0o755)
  await chmod(temporary, 0o777)

  const port = await freePort()
  const site = edit(program.site)
  await writeFile(join(folder, 'site.conf'), site.replaceAll('UPSTREAM', upstream).replaceAll('PORT', String(port)))
  await writeFile(join(folder, 'main.conf'), program.main(folder, port, process.getuid?.() === 0))

  const child = spawn(program.path, program.args(folder), { cwd: '/', env: { PATH: process.env['PATH'], TMPDIR: temporary }, stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (chunk) => { errors += String(chunk) })
  const exited = once(child, 'close')
  stop = async () => {
    child.kill('SIGTERM')
    await exited
  }
  await eventually(async () => {
    if (child.exitCode !== null) throw new Error(`${program.path} ended: ${errors}${await readFile(join(folder, 'error.log'), 'utf8').catch(() => '')}`)
    return await accepts(port)
  }, 20_000, `${program.path} listens`)
  return { port, spooled: async () => [...await filesIn(temporary), ...await openFiles(child.pid as number, temporary)] }
}

export async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function accepts (port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

async function filesIn (folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
}

/** Files below `folder` that a process or a child of it has open; a server deletes its temporary files while it uses them. */
async function openFiles (pid: number, folder: string): Promise<string[]> {
  const found: string[] = []
  for (const candidate of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const stat = await readFile(`/proc/${candidate}/stat`, 'utf8').catch(() => '')
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    if (Number(candidate) !== pid && parent !== pid) continue
    for (const descriptor of await readdir(`/proc/${candidate}/fd`)) {
      const target = await readlink(`/proc/${candidate}/fd/${descriptor}`).catch(() => '')
      if (target.startsWith(`${folder}/`)) found.push(target)
    }
  }
  return found
}
