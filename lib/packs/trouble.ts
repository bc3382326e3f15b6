import type { PackLog } from './pack-store.ts'

/** The same trouble is not logged again for this long, in milliseconds. */
const SILENCE = 3_600_000

/** One for everything about the folder, so that one cause is one line. */
export const NO_DISK = 'packs cannot be kept on disk; fetches are answered without it'

/** What goes wrong with keeping packs. No request fails for it, so it is worth one line in the log, not one per request. */
export class Trouble {
  /** How often something went wrong. */
  count: number = 0
  readonly #log: PackLog
  readonly #logged = new Map<string, number>()

  constructor (log: PackLog) {
    this.#log = log
  }

  /** `message` says what does not work and what happens instead. */
  report (message: string, error: unknown): void {
    this.count++
    const now = performance.now()
    const what = `${message} ${(error as NodeJS.ErrnoException | null)?.code ?? ''}`
    if (now - (this.#logged.get(what) ?? -Infinity) < SILENCE) return
    this.#logged.set(what, now)
    this.#log.warn({ err: error }, message)
  }
}
