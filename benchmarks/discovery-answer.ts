import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { get, request as open, type IncomingMessage } from 'node:http'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'
import { CHANGING_REFS, GIT_ENVIRONMENT, type Repositories } from './discovery-repositories.ts'
import type { HttpRequest } from './discovery-workloads.ts'
import type { Peer } from './peers/peer.ts'

const DECODERS: Record<string, (bytes: Buffer) => Buffer> = {
  identity: (bytes) => bytes,
  gzip: gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync
}

/** What git itself says to the request, in full. */
export async function gitAnswer (root: string, { method, repository, headers, body = '' }: HttpRequest): Promise<Buffer> {
  const protocol = headers['Git-Protocol']
  const advertise = method === 'GET' ? ['--advertise-refs'] : []
  const child = spawn('git', ['upload-pack', '--stateless-rpc', ...advertise, join(root, repository)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...GIT_ENVIRONMENT, ...(protocol === undefined ? {} : { GIT_PROTOCOL: protocol }) }
  })
  // An advertisement is written without reading.
  child.stdin.on('error', () => {})
  child.stdin.end(body)
  const [bytes, [code]] = await Promise.all([buffer(child.stdout), once(child, 'close')])
  if (code !== 0) throw new Error(`git upload-pack ${repository}: exit code ${code}`)
  // gitprotocol-http(5): versions 0 and 1 begin with the service's name.
  return method === 'GET' && protocol === undefined ? Buffer.concat([Buffer.from('001e# service=git-upload-pack\n0000'), bytes]) : bytes
}

/** Sends the request once; the length on the wire and the decoded body. */
export async function ask (port: number, { method, path, headers, body }: HttpRequest): Promise<{ status: number, length: number, bytes: Buffer, encoding: string }> {
  const request = method === 'GET' ? get({ port, path, headers, host: '127.0.0.1' }) : open({ method, port, path, headers: { ...headers, 'Content-Length': (body ?? '').length }, host: '127.0.0.1' })
  request.end(body)
  const [response] = await once(request, 'response') as [IncomingMessage]
  const raw = await buffer(response)
  const encoding = response.headers['content-encoding'] ?? 'identity'
  const decode = DECODERS[encoding]
  if (decode === undefined) throw new Error(`unknown encoding ${encoding}`)
  return { status: response.statusCode ?? 0, length: raw.length, bytes: decode(raw), encoding }
}

/** Moves one of the refs that change, as git does: a new file in the place of the old one. */
export async function change (root: string, { changing }: Repositories, n: number): Promise<void> {
  const repository = join(root, 'changing.git')
  await writeFile(join(repository, 'next'), `${changing[n % changing.length]}\n`)
  await rename(join(repository, 'next'), join(repository, CHANGING_REFS[n % 2] as string))
}

/**
 * Compares the peer's answer with git's, byte for byte; for a changing repository after each of several changes.
 *
 * @returns the length of the answer on the wire.
 */
export async function verify (peer: Peer, { name, request, changing }: { name: string, request: HttpRequest, changing: boolean }, root: string, repositories: Repositories): Promise<{ length: number, encoding: string }> {
  let result = { length: 0, encoding: '' }
  for (let n = 1; n <= (changing ? 4 : 2); n++) {
    if (changing) await change(root, repositories, n)
    const [expected, { status, length, bytes, encoding }] = await Promise.all([gitAnswer(root, request), ask(peer.port, request)])
    if (status !== 200 || !bytes.equals(expected)) {
      throw new Error(`${peer.name}, ${name}: the answer differs from git's (status ${status}, ${bytes.length} bytes, git says ${expected.length}):\n${bytes.subarray(0, 500).toString('latin1')}`)
    }
    result = { length, encoding }
  }
  return result
}
