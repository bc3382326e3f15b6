import { constants } from 'node:os'
import type { FastifyInstance } from 'fastify'

/**
 * Ends the process on SIGTERM and SIGINT once the transfers in flight have ended, with exit code 0. A second signal
 * ends it at once, with the code that a shell gives to that signal.
 */
export function stopOnSignals (app: FastifyInstance): void {
  let stopping = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(128 + constants.signals[signal])
      stopping = true
      app.log.info({ signal, transfers: app.gitHttp.active }, 'stopping after the transfers in flight; a second signal stops at once')
      app.close().then(
        () => process.exit(0),
        (err) => {
          app.log.error({ err }, 'stopping failed')
          process.exit(1)
        })
    })
  }
}
