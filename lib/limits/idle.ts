/** Calls `onIdle` once when nothing was reported for `milliseconds`. */
export class IdleTimer {
  readonly #timer: NodeJS.Timeout

  constructor (milliseconds: number, onIdle: () => void) {
    this.#timer = setTimeout(onIdle, milliseconds)
    // The socket or process that it watches keeps the server's loop alive; the watch alone need not.
    this.#timer.unref()
  }

  /** Something moved. */
  readonly touch = (): void => { this.#timer.refresh() }

  stop (): void {
    clearTimeout(this.#timer)
  }
}
