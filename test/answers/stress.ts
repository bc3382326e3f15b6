/**
 * Looks for stale answers: a writer changes the refs of a repository as fast as git can, while this process asks a
 * server for them. `node --import tsx test/answers/stress.ts --answers 10000`
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readSync } from 'node:fs'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { Agent, request, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import Fastify from 'fastify'
import gitHttp from '../../lib/index.ts'
import type { Exchange } from '../fixtures/http-backend.ts'
import { git } from '../fixtures/git.ts'
import { LOADER, programPath } from '../fixtures/program.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { discovery, lsRefs } from './helpers.ts'

export interface StressReport {
  answers: number
  stale: number
  /** Changes that were made meanwhile. */
  changes: number
  /** How many of the answers differed from the one before to the same question. */
  moved: number
}

/** Values that `refs/heads/counter` takes one after the other, over and over. */
const VALUES = 2_000
const CLIENTS = 4

/**
 * Answers are never older than what was complete before their request was sent. The writer numbers its changes and writes
 * down which one it begins and which is complete, in a file, so that no message between the processes is ever late.
 */
export async function stress (answers: number): Promise<StressReport> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'fastify-git-http-stress-')))
  const app = Fastify()
  let writer: ChildProcess | undefined
  const agent = new Agent({ keepAlive: true })
  try {
    const path = await makeRepository(root, 'app.git', { commits: VALUES })
    await app.register(gitHttp, { root, publicWrite: true })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.addresses()[0] as { port: number }
    const progress = join(root, 'progress')
    writer = fork(programPath('stress-writer', import.meta.url), [path, progress, String(VALUES)], { execArgv: LOADER })
    const ended = once(writer, 'exit')
    await once(writer, 'message')
    const counter = openProgress(progress)
    const numbers = new Map((await git(['rev-list', '--reverse', 'refs/heads/main'], { cwd: path })).split('\n').map((id, i) => [id, i]))
    const report: StressReport = { answers: 0, stale: 0, changes: 0, moved: 0 }
    const exchanges = [
      discovery('app.git', 'upload-pack'), discovery('app.git', 'receive-pack'),
      lsRefs('app.git', ['ref-prefix refs/heads/counter']), lsRefs('app.git', ['peel', 'symrefs', 'ref-prefix refs/'])
    ]
    const before = new Map<Exchange, number>()
    await Promise.all(Array.from({ length: CLIENTS }, async (_, client) => {
      for (let i = client; report.answers < answers; i++) {
        const exchange = exchanges[i % exchanges.length] as Exchange
        const complete = counter.complete()
        const body = await ask(agent, port, exchange)
        const begun = counter.begun()
        report.answers++
        const value = numbers.get(/([0-9a-f]{40}) refs\/heads\/counter/.exec(body)?.[1] ?? '') ?? NaN
        const names = [...body.matchAll(/refs\/counter\/(\d+)/g)].map(([, number]) => Number(number))
        // Values come again, names do not.
        const age = (VALUES + value - complete % VALUES) % VALUES
        const current = age <= begun - complete && (names.length === 0 || (Math.max(...names) >= complete && Math.max(...names) <= begun))
        if (!current) report.stale++
        if (before.get(exchange) !== value) report.moved++
        before.set(exchange, value)
      }
    }))
    report.changes = counter.complete()
    counter.close()
    if (writer.exitCode === null) writer.send('stop')
    const [code] = await ended
    if (code !== 0) throw new Error(`the writer ended with ${code}`)
    return report
  } finally {
    writer?.kill('SIGKILL')
    agent.destroy()
    await app.close()
    await rm(root, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** The writer's two numbers: the change that it began last, and the one that was complete last. */
function openProgress (path: string): { begun: () => number, complete: () => number, close: () => void } {
  const file = openSync(path, 'r')
  const read = (position: number): number => {
    const bytes = Buffer.alloc(8)
    readSync(file, bytes, 0, 8, position)
    return bytes.readDoubleLE()
  }
  return { begun: () => read(0), complete: () => read(8), close: () => closeSync(file) }
}

async function ask (agent: Agent, port: number, { method = 'GET', target, headers, body = '' }: Exchange): Promise<string> {
  const outgoing = request({ agent, port, host: '127.0.0.1', method, path: target, headers: { ...headers, 'content-length': Buffer.byteLength(body) } })
  outgoing.end(body)
  const [response] = await once(outgoing, 'response') as [IncomingMessage]
  const bytes = await buffer(response)
  if (response.statusCode !== 200) throw new Error(`${target}: ${response.statusCode} ${bytes}`)
  return bytes.toString('latin1')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { answers: { type: 'string', default: '10000' } } })
  const { answers, stale, changes, moved } = await stress(Number(values.answers))
  console.log(`${stale} stale in ${answers} answers, ${changes} changes, ${moved} answers unlike the one before`)
  process.exitCode = stale === 0 ? 0 : 1
}
