/** The server under measurement, in a process of its own: `faults-server.ts OPTIONS` as JSON; asked by IPC what it holds. */
import { setImmediate as turn } from 'node:timers/promises'
import Fastify from 'fastify'
import gitHttp from '../lib/index.ts'

/** What a server holds at a moment when nobody asks anything of it. */
export interface Holdings {
  /** Operations in flight. */
  active: number
  /** Resident memory in bytes, after a garbage collection. */
  rss: number
  /** On the process, the HTTP server and the instance's own emitters: `object event` and how many. */
  listeners: Record<string, number>
  /** What keeps Node's event loop busy, by type. */
  resources: Record<string, number>
}

const app = Fastify()
await app.register(gitHttp, JSON.parse(process.argv[2] ?? '{}'))
await app.listen({ port: 0, host: '127.0.0.1' })
process.send?.({ port: (app.addresses()[0] as { port: number }).port })

process.on('message', async () => {
  // Twice: what the first collection finalizes, the second one frees.
  for (let i = 0; i < 2; i++) {
    globalThis.gc?.()
    await turn()
  }
  const holdings: Holdings = {
    active: app.gitHttp.active,
    rss: process.memoryUsage.rss(),
    listeners: { ...listenersOf('process', process), ...listenersOf('server', app.server), ...listenersOf('stdout', process.stdout), ...listenersOf('stderr', process.stderr) },
    resources: count(process.getActiveResourcesInfo())
  }
  process.send?.(holdings)
})
process.on('disconnect', () => process.exit())

function listenersOf (name: string, emitter: NodeJS.EventEmitter): Record<string, number> {
  return Object.fromEntries(emitter.eventNames().map((event) => [`${name} ${String(event)}`, emitter.listenerCount(event)]))
}

function count (names: string[]): Record<string, number> {
  const counted: Record<string, number> = {}
  for (const name of names) counted[name] = (counted[name] ?? 0) + 1
  return counted
}
