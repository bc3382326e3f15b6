/** Calls `onIdle` once when nothing was reported for `milliseconds`. */
export class IdleTimer {
  readonly #timer: NodeJS.Timeout

  constructor (milliseconds: number, onIdle: () => void) {
    this.#timer = setTimeout(onIdle, milliseconds)
  }

  /** Something moved. */
  readonly touch = (): void => { this.#timer.refresh() }

  stop (): void {
    clearTimeout(this.#timer)
  }
}
