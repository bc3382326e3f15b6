import { announce } from './announce.ts'
import type { ServeSettings } from './arguments.ts'
import { listen } from './listen.ts'
import { createRegistry, metricsUrl, serveMetrics } from './metrics.ts'
import { createLog } from './log.ts'
import { createApp } from './server.ts'
import { onStopSignals, stopServing } from './shutdown.ts'

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
