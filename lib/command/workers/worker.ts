import cluster from 'node:cluster'
import { mergeSnapshots } from '../../status/merge.ts'
import type { StatusSnapshot } from '../../web/status-source.ts'
import type { ServeSettings } from '../arguments.ts'
import { toFailure } from '../failure.ts'
import { listen } from '../listen.ts'
import { createLog } from '../log.ts'
import { createRegistry } from '../metrics.ts'
import { createApp } from '../server.ts'
import { closeServing } from '../shutdown.ts'
import type { Figures, FromWorker, ToWorker } from './messages.ts'

/** How often the others' figures are asked for, in milliseconds: as often as the status page is told. */
const INTERVAL = 1_000

/** Serves as one of several processes. The one that started it has the signals. */
export async function serveAsWorker (settings: ServeSettings, count: number): Promise<void> {
  // A terminal sends these to all of them.
  for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => {})
  try {
    await serve(settings, count)
  } catch (error) {
    const { message, exitCode } = toFailure(error)
    await tell({ type: 'failed', message, exitCode })
    process.exit(exitCode)
  }
}

async function serve (settings: ServeSettings, count: number): Promise<void> {
  const id = cluster.worker?.id ?? 0
  const log = createLog(settings.logLevel, process.stderr.isTTY, { worker: id })
  const register = settings.metrics === undefined ? undefined : await createRegistry()
  let others: StatusSnapshot | null = null
  const { app, leave: part } = await createApp(settings, {
    log,
    register,
    worker: {
      id,
      count,
      all: (source) => ({ snapshot: () => mergeSnapshots(others === null ? [source.snapshot()] : [source.snapshot(), others]) })
    }
  })
  const status = app.gitHttp.status()
  const figures = async (): Promise<Figures> => ({ status: status.snapshot(), metrics: await register?.getMetricsAsJSON() ?? null })
  const leave = async (): Promise<void> => await closeServing(app, async () => await tell({ type: 'figures', id: 0, figures: await figures() }))

  process.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'tell': figures().then(async (told) => await tell({ type: 'figures', id: message.id, figures: told })); break
      case 'others': others = message.status; break
      case 'leave': part().then(leave); break
      case 'stop': app.gitHttp.drain().then(leave)
    }
  })
  process.on('SIGTERM', () => { part().then(leave) })
  await listen(app, settings.port, settings.host)
  if (settings.web && count > 1) setInterval(() => { tell({ type: 'others' }) }, INTERVAL).unref()
  await tell({ type: 'ready' })
}

/** Resolves when it is on its way, or when nobody listens. */
async function tell (message: FromWorker): Promise<void> {
  await new Promise<void>((resolve) => {
    if (!process.connected) resolve()
    else process.send?.(message, undefined, undefined, () => resolve())
  })
}
