import cluster from 'node:cluster'
import { createServer } from 'node:net'
import { announce } from '../announce.ts'
import type { ServeSettings } from '../arguments.ts'
import { listen } from '../listen.ts'
import { createLog } from '../log.ts'
import { joinMetrics, loadPromClient, metricsUrl, serveMetrics } from '../metrics.ts'
import { onStopSignals } from '../shutdown.ts'
import { Supervisor } from './supervisor.ts'

/** Serves with `count` processes besides this one, which starts and replaces them. */
export async function serveWithWorkers (settings: ServeSettings, count: number): Promise<void> {
  const log = createLog(settings.logLevel, process.stderr.isTTY)
  if (settings.metrics !== undefined) await loadPromClient()
  const port = await probe(settings)
  // A port that the system chose is every worker's, those that come later included. Of two, the last one counts.
  cluster.setupPrimary({ args: [...process.argv.slice(2), '--port', String(port)] })
  const supervisor = new Supervisor(count, log)
  onStopSignals((signal) => {
    log.info({ signal }, 'stopping after the transfers in flight; a second signal stops at once')
    supervisor.stop(signal).then(() => process.exit(0))
  }, () => supervisor.kill())
  process.on('SIGHUP', () => { supervisor.reload() })
  try {
    await supervisor.open()
    if (settings.metrics !== undefined) {
      const server = await serveMetrics(settings.metrics, async () => await joinMetrics(await supervisor.metrics()))
      log.info({ url: metricsUrl(server, settings.metrics.host) }, 'metrics are served')
    }
  } catch (error) {
    supervisor.kill()
    throw error
  }
  await announce(settings, port, log)
}

/** The port, if it can be listened on. */
async function probe ({ port, host }: ServeSettings): Promise<number> {
  const server = createServer()
  const app = {
    server,
    listen: async (where: object) => await new Promise<void>((resolve, reject) => server.once('error', reject).listen(where, resolve))
  }
  const chosen = await listen(app as never, port, host)
  await new Promise((resolve) => server.close(resolve))
  return chosen
}
