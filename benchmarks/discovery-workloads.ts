import type { Repositories } from './discovery-repositories.ts'

export interface HttpRequest {
  method: 'GET' | 'POST'
  repository: string
  path: string
  headers: Record<string, string>
  body?: string
}

interface Common {
  name: string
  title: string
  /** What the figure of the plugin divided by that of the fastest CGI peer must be; null where nothing was promised. */
  target: number | null
  /** Throughput wants a high ratio, time a low one. */
  better: 'higher' | 'lower'
  unit: string
}

export interface ThroughputWorkload extends Common {
  kind: 'throughput'
  request: HttpRequest
  connections: number
  /** The state of the repository changes before every request. */
  changing: boolean
}

export interface ClientWorkload extends Common {
  kind: 'client'
  command: 'ls-remote' | 'fetch'
  /** Runs per round. */
  runs: number
}

export interface LatencyWorkload extends Common {
  kind: 'latency'
  request: HttpRequest
  perSecond: number
  clones: number
}

export type Workload = ThroughputWorkload | ClientWorkload | LatencyWorkload

/** What git 2.39 with Debian's libcurl sends with every request. */
const ACCEPT_ENCODING = { 'Accept-Encoding': 'deflate, gzip, br, zstd' }
const COMMON = { 'User-Agent': 'git/2.39.5', Accept: '*/*', Pragma: 'no-cache' }
const VERSION_2 = { 'Git-Protocol': 'version=2' }

export function packet (line: string): string {
  return `${(line.length + 4).toString(16).padStart(4, '0')}${line}`
}

function advertisement (repository: string, headers: Record<string, string>): HttpRequest {
  return { method: 'GET', repository, path: `/${repository}/info/refs?service=git-upload-pack`, headers: { ...COMMON, ...headers } }
}

function upload (repository: string, body: string): HttpRequest {
  const headers = {
    ...COMMON,
    ...ACCEPT_ENCODING,
    ...VERSION_2,
    Accept: 'application/x-git-upload-pack-result',
    'Content-Type': 'application/x-git-upload-pack-request'
  }
  return { method: 'POST', repository, path: `/${repository}/git-upload-pack`, headers, body }
}

function lsRefs (repository: string, prefixes: string[]): HttpRequest {
  const lines = ['peel\n', 'symrefs\n', ...prefixes.map((prefix) => `ref-prefix ${prefix}\n`)]
  return upload(repository, `${['command=ls-refs\n', 'agent=git/2.39.5', 'object-format=sha1'].map(packet).join('')}0001${lines.map(packet).join('')}0000`)
}

/** Asks for a whole history; `wants` are its newest commit and others that it contains anyway. */
export function cloneRequest (repository: string, wants: string[]): HttpRequest {
  const lines = ['thin-pack', 'no-progress', 'include-tag', 'ofs-delta', ...wants.map((id) => `want ${id}\n`), 'done\n']
  return upload(repository, `${['command=fetch', 'agent=git/2.39.5', 'object-format=sha1'].map(packet).join('')}0001${lines.map(packet).join('')}0000`)
}

/** What `git fetch` asks for by default. */
const ALL = ['refs/heads/', 'refs/tags/', 'HEAD']
/** What a build server that follows one branch asks for. */
const ONE = ['refs/heads/main', 'refs/tags/main', 'HEAD']

const rate = { kind: 'throughput' as const, unit: 'requests/s', better: 'higher' as const, connections: 64, changing: false }
const time = { kind: 'client' as const, unit: 'ms', better: 'lower' as const, target: 0.9, runs: 20 }
const CHANGED = { ...rate, connections: 8, changing: true, target: 1 }

export const WORKLOADS: Workload[] = [
  { ...rate, name: 'v2-info-refs', title: 'v2 info/refs, 1,000 refs', request: advertisement('refs1000.git', { ...ACCEPT_ENCODING, ...VERSION_2 }), target: 30 },
  { ...rate, name: 'v0-info-refs', title: 'v0 info/refs, 1,000 refs', request: advertisement('refs1000.git', ACCEPT_ENCODING), target: 30 },
  { ...rate, name: 'ls-refs-fetch', title: 'v2 ls-refs, three prefixes: all 1,000 refs', request: lsRefs('refs1000.git', ALL), target: 20 },
  { ...rate, name: 'ls-refs-branch', title: 'v2 ls-refs, three prefixes: one branch', request: lsRefs('refs1000.git', ONE), target: 20 },
  // Few connections, because with many one answer of the slower peers takes as long as the measurement.
  { ...rate, name: 'v0-100k', title: 'v0 info/refs, 100,000 refs', connections: 8, request: advertisement('refs100000.git', ACCEPT_ENCODING), target: 25 },
  { ...rate, name: 'v0-100k-identity', title: 'v0 info/refs, 100,000 refs, uncompressed', connections: 8, request: advertisement('refs100000.git', {}), target: null },
  { ...CHANGED, name: 'changed-v2-info-refs', title: 'v2 info/refs after a change', request: advertisement('changing.git', { ...ACCEPT_ENCODING, ...VERSION_2 }) },
  { ...CHANGED, name: 'changed-v0-info-refs', title: 'v0 info/refs after a change', request: advertisement('changing.git', ACCEPT_ENCODING) },
  { ...CHANGED, name: 'changed-ls-refs', title: 'v2 ls-refs after a change', request: lsRefs('changing.git', ALL) },
  { ...time, name: 'git-ls-remote', title: 'git ls-remote, 1,000 refs', command: 'ls-remote' },
  { ...time, name: 'git-fetch', title: 'git fetch with nothing new, 1,000 refs', command: 'fetch' },
  { kind: 'latency', name: 'latency', title: 'info/refs at 50/s beside 16 clones, p99', unit: 'ms', better: 'lower', target: 1 / 3, request: advertisement('small.git', { ...ACCEPT_ENCODING, ...VERSION_2 }), perSecond: 50, clones: 16 }
]

/** Different wants for every clone, so that none can be answered with an earlier one's pack. */
export function * distinctWants ({ middle }: Repositories, start: number): Generator<[string, string, string]> {
  const tip = middle.length - 1
  for (let n = start; ; n++) {
    yield [middle[tip] as string, middle[n % tip] as string, middle[Math.floor(n / tip) * 7 % tip] as string]
  }
}
