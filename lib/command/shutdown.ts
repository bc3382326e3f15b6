import { constants } from 'node:os'
import type { FastifyInstance } from 'fastify'

/** Calls `stop` at the first SIGTERM or SIGINT. A second one ends the process at once, with the code that a shell gives to that signal. */
export function onStopSignals (stop: (signal: NodeJS.Signals) => void, atOnce: () => void = () => {}): void {
  let stopping = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) {
        atOnce()
        process.exit(128 + constants.signals[signal])
      }
      stopping = true
      stop(signal)
    })
  }
}

/**
 * Ends the process once the transfers in flight have ended. Until then it listens, so that whoever asks is told: new operations
 * and `/-/ready` are answered with 503.
 */
export async function stopServing (app: FastifyInstance, signal: NodeJS.Signals): Promise<void> {
  app.log.info({ signal, transfers: app.gitHttp.active }, 'stopping after the transfers in flight; a second signal stops at once')
  await app.gitHttp.drain()
  await closeServing(app)
}

/** Ends the process once the transfers in flight have ended, and lets nobody in. */
export async function closeServing (app: FastifyInstance, before: () => Promise<void> = async () => {}): Promise<void> {
  try {
    await app.close()
    await before()
    process.exit(0)
  } catch (err) {
    app.log.error({ err }, 'stopping failed')
    process.exit(1)
  }
}
