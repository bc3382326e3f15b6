import { Readable } from 'node:stream'
import type { Rates } from './status-view.ts'
import type { StatusSnapshot, StatusSource } from './status-source.ts'

/** Browsers that watch at once. */
const MAX_LISTENERS = 64
/** Milliseconds between two snapshots. */
const INTERVAL = 1_000
/** Milliseconds without news after which a comment shows that the connection lives: less than proxies wait. */
const HEARTBEAT = 15_000
/** Milliseconds for which a listener may take nothing. */
const STALLED = 60_000

/** Makes of a snapshot what one visitor is told. */
export type View = (snapshot: StatusSnapshot, rates: Rates) => Promise<unknown>

/** Sends snapshots to whoever watches, as server-sent events (HTML Standard, "Server-sent events"). Nobody watches: nothing runs. */
export class StatusEvents {
  readonly #source: StatusSource
  readonly #interval: number
  readonly #onError: (error: unknown) => void
  readonly #listeners = new Set<Listener>()
  #timer: NodeJS.Timeout | undefined
  #closed = false
  #last: { at: number, bytesIn: number, bytesOut: number } | undefined
  #rates: Rates = { in: 0, out: 0 }

  constructor (source: StatusSource, onError: (error: unknown) => void, interval: number = INTERVAL) {
    this.#source = source
    this.#onError = onError
    this.#interval = interval
  }

  get listeners (): number {
    return this.#listeners.size
  }

  /** True while a timer runs. */
  get running (): boolean {
    return this.#timer !== undefined
  }

  /** A stream of events for one visitor, or null when too many watch already. Its end, whoever brings it about, is all there is to clean up. */
  open (view: View): Readable | null {
    if (this.#closed || this.#listeners.size >= MAX_LISTENERS) return null
    const listener = new Listener(view)
    this.#listeners.add(listener)
    listener.stream.once('close', () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.#stop()
    })
    this.#timer ??= setInterval(() => this.#tick(), this.#interval)
    // The first figures at once.
    this.#tick(listener)
    return listener.stream
  }

  /** Ends every stream. */
  close (): void {
    this.#closed = true
    for (const { stream } of this.#listeners) stream.push(null)
    this.#stop()
  }

  #tick (only?: Listener): void {
    try {
      const snapshot = this.#source.snapshot()
      if (only === undefined || this.#last === undefined) this.#measure(snapshot)
      for (const listener of only === undefined ? this.#listeners : [only]) {
        listener.tell(snapshot, this.#rates).catch((error) => {
          this.#onError(error)
          listener.stream.destroy()
        })
      }
    } catch (error) {
      this.#onError(error)
    }
  }

  #measure ({ totals: { bytesIn, bytesOut } }: StatusSnapshot): void {
    const at = performance.now()
    const last = this.#last
    const seconds = last === undefined ? 0 : (at - last.at) / 1000
    this.#last = { at, bytesIn, bytesOut }
    this.#rates = last === undefined || seconds === 0
      ? { in: 0, out: 0 }
      : { in: Math.max(0, bytesIn - last.bytesIn) / seconds, out: Math.max(0, bytesOut - last.bytesOut) / seconds }
  }

  #stop (): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#last = undefined
  }
}

class Listener {
  readonly stream: Readable
  readonly #view: View
  /** It has taken all that it was given. */
  #ready = true
  #busy = false
  #told = ''
  #toldAt: number = performance.now()

  constructor (view: View) {
    this.#view = view
    this.stream = new Readable({ read: () => { this.#ready = true } })
    // A client that leaves destroys the stream, with an error or without.
    this.stream.on('error', () => {})
    this.stream.push('retry: 2000\n\n')
  }

  /** A slow client misses snapshots; what it gets is never old. */
  async tell (snapshot: StatusSnapshot, rates: Rates): Promise<void> {
    if (!this.#ready && performance.now() - this.#toldAt > STALLED) this.stream.destroy()
    if (!this.#ready || this.#busy || this.stream.destroyed) return
    this.#busy = true
    try {
      const text = JSON.stringify(await this.#view(snapshot, rates))
      if (this.stream.destroyed || this.stream.readableEnded) return
      if (text !== this.#told) this.#push(`data: ${text}\n\n`)
      else if (performance.now() - this.#toldAt >= HEARTBEAT) this.#push(':\n\n')
      this.#told = text
    } finally {
      this.#busy = false
    }
  }

  #push (text: string): void {
    this.#toldAt = performance.now()
    this.#ready = this.stream.push(text)
  }
}
