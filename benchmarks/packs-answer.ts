import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { request as send, type IncomingMessage } from 'node:http'
import { createReadStream } from 'node:fs'
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { GIT_ENVIRONMENT, git } from './discovery-repositories.ts'
import type { HttpRequest } from './discovery-workloads.ts'
import { Demultiplexer } from './packs-demultiplex.ts'
import { track } from './peers/daemon.ts'
import type { Peer } from './peers/peer.ts'

/** What an answer holds. */
export interface Content {
  objects: number
  packBytes: number
  /** One digest over the names of all objects. */
  names: string
}

/** Writes what git itself says to the request into a file. */
export async function writeGitAnswer (root: string, { repository, body }: HttpRequest, path: string): Promise<void> {
  const file = await open(path, 'w', 0o644)
  const child = spawn('git', ['upload-pack', '--stateless-rpc', join(root, repository)], { env: { ...GIT_ENVIRONMENT, GIT_PROTOCOL: 'version=2' }, stdio: ['pipe', file.fd, 'inherit'] })
  track(child)
  child.stdin?.end(body)
  const [code] = await once(child, 'close') as [number | null]
  await file.close()
  if (code !== 0) throw new Error(`git upload-pack ${repository}: exit code ${code}`)
}

export async function contentOfFile (path: string): Promise<Content> {
  return await index(createReadStream(path))
}

/** Asks the peer, and looks whether its pack indexes and holds exactly these objects. */
export async function validate (peer: Peer, { path, headers, body }: HttpRequest, expected: Content): Promise<Content> {
  const request = send({ method: 'POST', host: '127.0.0.1', port: peer.port, path, headers: { ...headers, 'Content-Length': (body ?? '').length }, agent: false })
  request.end(body)
  const [response] = await once(request, 'response') as [IncomingMessage]
  if (response.statusCode !== 200) throw new Error(`${peer.name}: status ${response.statusCode}`)
  const content = await index(response)
  if (content.names !== expected.names) throw new Error(`${peer.name}: the pack has ${content.objects} objects that differ from git's ${expected.objects}`)
  return content
}

/** Without --strict: the parents of a shallow clone's commits are missing on purpose. */
async function index (answer: Readable): Promise<Content> {
  const folder = await mkdtemp(join(tmpdir(), 'fastify-git-http-bench-index-'))
  try {
    await git(['init', '--quiet', '--bare', folder])
    const child = spawn('git', ['-C', folder, 'index-pack', '--stdin', '--fix-thin'], { env: GIT_ENVIRONMENT, stdio: ['pipe', 'ignore', 'inherit'] })
    track(child)
    child.stdin.on('error', () => {})
    const exited = once(child, 'close')
    const pack = new Demultiplexer((bytes) => { child.stdin.write(bytes) })
    for await (const bytes of answer) {
      pack.push(bytes as Buffer)
      if (child.stdin.writableNeedDrain) await Promise.race([once(child.stdin, 'drain'), exited])
    }
    child.stdin.end()
    const [code] = await exited as [number | null]
    if (code !== 0 || !pack.intact) throw new Error(`the pack does not index: exit code ${code}, ${pack.packBytes} bytes ${pack.error}`)
    const names = (await git(['-C', folder, 'cat-file', '--batch-all-objects', '--batch-check=%(objectname)'])).split('\n').sort()
    return { objects: names.length, packBytes: pack.packBytes, names: createHash('sha1').update(names.join()).digest('hex') }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
