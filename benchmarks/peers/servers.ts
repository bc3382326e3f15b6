import { execFileSync } from 'node:child_process'
import { access, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { findProgram, freePort, startDaemon } from './daemon.ts'
import { Absent, type Peer, type Site } from './peer.ts'

const asRoot = process.getuid?.() === 0

/**
 * fcgiwrap starts this many workers, and each does one request at a time. Throughput is the same with 4, 16 and 64 of them on two
 * cores; but with few, a cheap request waits until one of the clones before it has ended.
 */
export function fcgiWorkers (cores: number): number {
  return 16 * cores
}

export async function startNginxCgi (site: Site): Promise<Peer> {
  const nginx = await findProgram('nginx', 'nginx')
  const fcgiwrap = await findProgram('fcgiwrap', 'fcgiwrap')
  const { folder, port } = await configure('nginx-cgi.conf', site, asRoot ? 'user root;' : '')
  const socket = join(folder, 'fcgiwrap.sock')
  const wrapper = await startDaemon(fcgiwrap, ['-c', String(fcgiWorkers(site.cores)), '-s', `unix:${socket}`], site.env, socket)
  const server = await startDaemon(nginx, ['-p', folder, '-c', join(folder, 'nginx-cgi.conf')], site.env, port)
  return { name: 'nginx', title: 'nginx + fcgiwrap + git-http-backend', port, pids: [wrapper.pid, server.pid], role: 'cgi', countsChildren: false }
}

export async function startApache (site: Site): Promise<Peer> {
  const apache = await findProgram('apache2', 'apache2-bin')
  // Apache refuses to work as root; git then needs to hear that these repositories may be read (safe.directory).
  const { folder, port } = await configure('apache.conf', site, asRoot ? 'User www-data\nGroup www-data' : '')
  const server = await startDaemon(apache, ['-f', join(folder, 'apache.conf'), '-DFOREGROUND'], site.env, port)
  return { name: 'apache', title: 'Apache (event) + mod_cgid + git-http-backend', port, pids: [server.pid], role: 'cgi', countsChildren: false }
}

export async function startNodeCgi (site: Site): Promise<Peer> {
  const port = await freePort()
  const server = await startDaemon(process.execPath, [...site.compiled.args('node-cgi'), String(port), site.backend, site.root], site.env, port)
  return { name: 'node', title: 'plain Node + git-http-backend', port, pids: [server.pid], role: 'cgi', countsChildren: true }
}

export async function startOurs (site: Site, options: object = {}): Promise<Peer> {
  const port = await freePort()
  const server = await startDaemon(process.execPath, [...site.compiled.args('ours-server'), String(port), site.root, JSON.stringify(options)], site.env, port)
  return { name: 'ours', title: 'fastify-git-http', port, pids: [server.pid], role: 'ours', countsChildren: true }
}

/** One answer for the ceiling: the request that it belongs to, and its bytes, compressed as well where that helps. */
export interface StaticAnswer {
  key: string
  /** Or the path of a file that has them, and that is moved. */
  bytes: Buffer | string
  gzip: Buffer | null
}

export async function startStatic (site: Site, answers: StaticAnswer[]): Promise<Peer> {
  const nginx = await findProgram('nginx', 'nginx')
  const { folder, port } = await configure('nginx-static.conf', site, asRoot ? 'user root;' : '')
  await mkdir(join(folder, 'answers'))
  for (const [index, { bytes, gzip }] of answers.entries()) {
    const file = join(folder, 'answers', `${index}`)
    await (typeof bytes === 'string' ? rename(bytes, file) : writeFile(file, bytes))
    if (gzip !== null) await writeFile(join(folder, 'answers', `${index}.gz`), gzip)
  }
  await writeFile(join(folder, 'answers.map'), answers.map(({ key }, index) => `${JSON.stringify(key)} ${index};\n`).join(''))
  const server = await startDaemon(nginx, ['-p', folder, '-c', join(folder, 'nginx-static.conf')], site.env, port)
  return { name: 'static', title: 'nginx, the same bytes as a file', port, pids: [server.pid], role: 'ceiling', countsChildren: true }
}

/** Fills in the configuration beside this file, in a folder of its own. */
async function configure (template: string, site: Site, user: string): Promise<{ folder: string, port: number }> {
  const folder = join(site.folder, template.replace('.conf', ''))
  const port = await freePort()
  await mkdir(folder)
  const values: Record<string, string> = {
    BACKENDFOLDER: dirname(site.backend),
    BACKEND: site.backend,
    CORES: String(site.cores),
    FOLDER: folder,
    MODULES: template === 'apache.conf' ? await apacheModules() : '',
    PORT: String(port),
    ROOT: site.root,
    USER: user
  }
  const text = await readFile(join(import.meta.dirname, template), 'utf8')
  await writeFile(join(folder, template), text.replace(/^(?! *#).*$/gm, (line) => line.replace(new RegExp(`\\b(${Object.keys(values).join('|')})\\b`, 'g'), (key) => values[key] as string)))
  return { folder, port }
}

async function apacheModules (): Promise<string> {
  for (const folder of ['/usr/lib/apache2/modules', '/usr/lib64/httpd/modules', '/usr/libexec/apache2']) {
    if (await access(folder).then(() => true, () => false)) return folder
  }
  throw new Absent('the modules of Apache were not found')
}

/** First line of what the programs say about themselves. */
export function versionOf (program: string, args: string[]): string {
  try {
    const output = execFileSync('/bin/sh', ['-c', '"$0" "$@" 2>&1 || true', program, ...args], { encoding: 'utf8' })
    return (output.split('\n')[0] ?? '').replace(/^(Server version|nginx version): /, '').replace(/ Copyright.*/, '')
  } catch {
    return 'absent'
  }
}
