import { realpath } from 'node:fs/promises'
import type { FastifyBaseLogger } from 'fastify'
import { findRepositories } from '../repository/find.ts'
import { announcement, isLoopback } from './announce.ts'
import type { ServeSettings } from './arguments.ts'
import { listen } from './listen.ts'
import { createRegistry, metricsUrl, serveMetrics } from './metrics.ts'
import { createLog } from './log.ts'
import { createApp } from './server.ts'
import { onStopSignals, stopServing } from './shutdown.ts'

/** Milliseconds that the search for repositories may delay the announcement. */
const SEARCH = 3_000

/** Serves with this process alone. */
export async function serveAlone (settings: ServeSettings): Promise<void> {
  const log = createLog(settings.logLevel, process.stderr.isTTY)
  const register = settings.metrics === undefined ? undefined : await createRegistry()
  const { app } = await createApp(settings, { log, register })
  const port = await listen(app, settings.port, settings.host)
  onStopSignals((signal) => { stopServing(app, signal) })
  if (settings.metrics !== undefined && register !== undefined) {
    const server = await serveMetrics(settings.metrics, async () => ({ type: register.contentType, text: await register.metrics() }))
    log.info({ url: metricsUrl(server, settings.metrics.host) }, 'metrics are served')
  }
  await announce(settings, port, log)
}

/** Tells on stdout that the server is ready. */
export async function announce (settings: ServeSettings, port: number, log: FastifyBaseLogger): Promise<void> {
  if (settings.allowPush && !isLoopback(settings.host)) {
    log.warn(`--allow-push: whoever reaches port ${port} of this machine can change every repository, without a password`)
  }
  const root = await realpath(settings.root)
  const found = await findRepositories(root, { signal: AbortSignal.timeout(SEARCH) })
  process.stdout.write(announcement({ ...settings, root, port, tls: settings.tls !== undefined }, found))
}
