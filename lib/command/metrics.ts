import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AggregatorRegistry, Registry } from 'prom-client'
import { Failure } from './failure.ts'
import { listenFailure } from './listen.ts'

type PromClient = typeof import('prom-client')

/** What prom-client calls a text that Prometheus reads. */
export interface MetricsText { type: string, text: string }

/** @throws Failure when it is not installed. */
export async function loadPromClient (): Promise<PromClient> {
  const { default: client } = await import('prom-client').catch(() => {
    throw new Failure('--metrics-port: the package prom-client is not installed; npm install prom-client helps')
  }) as unknown as { default: PromClient }
  return client
}

/** A registry with the figures of this process: its memory, its event loop. */
export async function createRegistry (): Promise<Registry> {
  const { Registry, collectDefaultMetrics } = await loadPromClient()
  const register = new Registry()
  collectDefaultMetrics({ register })
  return register
}

/** One text of the figures of several processes (`getMetricsAsJSON()` of each). */
export async function joinMetrics (figures: object[]): Promise<MetricsText> {
  const { AggregatorRegistry } = await loadPromClient()
  const all = AggregatorRegistry.aggregate(figures) as AggregatorRegistry<'text/plain; version=0.0.4; charset=utf-8'>
  return { type: all.contentType, text: await all.metrics() }
}

/** Serves `read()` at /metrics on a port of its own. */
export async function serveMetrics ({ port, host }: { port: number, host: string }, read: () => Promise<MetricsText>): Promise<Server> {
  const server = createServer((request, response) => {
    request.resume()
    const isKnown = request.url === '/metrics' && (request.method === 'GET' || request.method === 'HEAD')
    if (!isKnown) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('Metrics are at /metrics\n')
      return
    }
    read().then(({ type, text }) => response.writeHead(200, { 'content-type': type }).end(text), () => response.writeHead(500).end())
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenFailure(error, port, host, 'metrics-')))
    // In a worker, the port would be everybody's.
    server.listen({ port, host, exclusive: true }, resolve)
  })
  // It keeps nobody alive.
  return server.unref()
}

export function metricsUrl (server: Server, host: string): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${(server.address() as AddressInfo).port}/metrics`
}
