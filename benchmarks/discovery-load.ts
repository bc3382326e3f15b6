import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { CHANGING_REFS, type Repositories } from './discovery-repositories.ts'
import { distinctWants, type HttpRequest, type ThroughputWorkload } from './discovery-workloads.ts'
import { track } from './peers/daemon.ts'

export interface Load {
  requests: number
  requestsPerSecond: number
  p50: number
  p99: number
  bytes: number
  /** Status above 399, refused, broken and timed-out connections. */
  errors: number
}

const REPORT = `
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nRESULT {"requests":%d,"microseconds":%d,"bytes":%d,"errors":%d,"p50":%.3f,"p99":%.3f}\\n',
    summary.requests, summary.duration, summary.bytes, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
`

/** Lua's decimal escapes are safe for every byte. */
function lua (value: string): string {
  return `"${Array.from(Buffer.from(value), (byte) => `\\${String(byte).padStart(3, '0')}`).join('')}"`
}

function requestScript ({ method, headers, body }: HttpRequest): string {
  const lines = Object.entries(headers).map(([name, value]) => `wrk.headers[${lua(name)}] = ${lua(value)}\n`)
  return `wrk.method = "${method}"\n${lines.join('')}${body === undefined ? '' : `wrk.body = ${lua(body)}\n`}`
}

/** Before each request, one of two refs gets another commit. The two periods differ, so that no state comes twice. */
function changeScript (repository: string, commits: string[]): string {
  return `
local ids = { ${commits.map((id) => `"${id}"`).join(', ')} }
local refs = { ${CHANGING_REFS.map((ref) => lua(join(repository, ref))).join(', ')} }
local n = math.floor(os.time() * 31 % 100000)
local bytes
function init(args)
  bytes = wrk.format()
end
function request()
  n = n + 1
  local which = n % 2 + 1
  local file = io.open(${lua(join(repository, 'next'))}, "w")
  file:write(ids[math.floor(n / 2) % (#ids - which) + 1], "\\n")
  file:close()
  os.rename(${lua(join(repository, 'next'))}, refs[which])
  return bytes
end
`
}

function cloneScript (repositories: Repositories, start: number): string {
  const wants: string[] = []
  for (const each of distinctWants(repositories, start)) if (wants.push(each.slice(1).join(' ')) === 3000) break
  const first = distinctWants(repositories, start).next().value as string[]
  return `
local tip = "${first[0]}"
local others = { ${wants.map((pair) => `"${pair}"`).join(', ')} }
local template = wrk.body
local n = 0
function request()
  n = n + 1
  local pair = others[n % #others + 1]
  local body = template:gsub(("1"):rep(40), pair:sub(1, 40)):gsub(("2"):rep(40), pair:sub(42))
  return wrk.format(nil, nil, nil, body)
end
`
}

export class LoadGenerator {
  readonly #folder: string
  readonly #root: string
  readonly #wrk: string
  readonly #repositories: Repositories

  constructor (options: { folder: string, root: string, wrk: string, repositories: Repositories }) {
    this.#folder = options.folder
    this.#root = options.root
    this.#wrk = options.wrk
    this.#repositories = options.repositories
  }

  /** As many requests as the connections carry, for some seconds. */
  async throughput (port: number, { name, request, connections, changing }: ThroughputWorkload, seconds: number): Promise<Load> {
    const script = requestScript(request) + (changing ? changeScript(join(this.#root, request.repository), this.#repositories.changing) : '')
    return await this.#run(port, name, request.path, script, connections, seconds)
  }

  /** Clones one after the other on each connection, no two alike. */
  async clones (port: number, request: HttpRequest, count: number, seconds: number, start: number): Promise<Load> {
    return await this.#run(port, 'clones', request.path, requestScript(request) + cloneScript(this.#repositories, start), count, seconds)
  }

  async #run (port: number, name: string, path: string, script: string, connections: number, seconds: number): Promise<Load> {
    const file = join(this.#folder, `${name}.lua`)
    await writeFile(file, script + REPORT)
    // One thread: it is never the bottleneck, and the cores are for the servers.
    const child = spawn(this.#wrk, ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '60s', '-s', file, `http://127.0.0.1:${port}${path}`], { stdio: ['ignore', 'pipe', 'pipe'] })
    track(child)
    const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
    const result = /^RESULT (.*)$/m.exec(output)?.[1]
    if (result === undefined) throw new Error(`wrk: ${output}${errors}`)
    const { requests, microseconds, bytes, errors: failed, p50, p99 } = JSON.parse(result.replaceAll(/-?nan|inf/g, '0')) as Record<string, number>
    return { requests: requests as number, requestsPerSecond: (requests as number) * 1e6 / (microseconds as number), p50: p50 as number, p99: p99 as number, bytes: bytes as number, errors: failed as number }
  }
}
