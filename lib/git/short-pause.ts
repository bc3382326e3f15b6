import { Worker } from 'node:worker_threads'

/** Milliseconds: about as long as a git that writes a pack from other packs needs to fill what Linux holds of it (208 KiB). With 0.5 it takes more time of the processor, with 0.7 more of the clock (measured). */
const PAUSE = 0.55
/** The shortest pause that a timer of Node has, in milliseconds. */
const TIMER = 1

/** Sleeps whenever it is told to, and says when it has. */
const SLEEPER = `
const { workerData: { cells, pause }, parentPort } = require('node:worker_threads')
for (;;) {
  Atomics.wait(cells, 0, 0)
  Atomics.store(cells, 0, 0)
  Atomics.wait(cells, 1, 0, pause)
  parentPort.postMessage(null)
}`

interface Cells { cells: Int32Array, pause: number }

function startThread (workerData: Cells): Worker {
  // Nothing that the process was started with is any of its business.
  return new Worker(SLEEPER, { eval: true, workerData, execArgv: [], env: {} })
}

/**
 * Pauses that are shorter than those of timers. A thread sleeps for all who wait; there is one from the first `wait` until `close`.
 * Where there is none, or none yet, a timer does.
 */
export class ShortPause {
  readonly #start: typeof startThread
  #thread: Worker | null = null
  /** The thread sleeps or waits to be told to. */
  #isReady = false
  /** There can be no thread: the process may not have one, or it ended. */
  #isBroken = false
  /** The first is 1 when there is a reason to sleep; the second never changes. */
  #cells: Int32Array = new Int32Array(0)
  #waiting: Array<() => void> = []

  constructor (start: typeof startThread = startThread) {
    this.#start = start
  }

  /** Calls `callback` after a pause, at the latest when the one that is under way and one more are over. */
  wait (callback: () => void): void {
    if (this.#thread === null && !this.#isBroken) this.#begin()
    if (!this.#isReady) {
      setTimeout(callback, TIMER)
      return
    }
    if (this.#waiting.push(callback) > 1) return
    this.#thread?.ref()
    Atomics.store(this.#cells, 0, 1)
    Atomics.notify(this.#cells, 0)
  }

  /** Ends the thread; who waits is called at once. */
  close (): void {
    this.#thread?.removeAllListeners().on('error', () => {}).terminate()
    this.#end()
  }

  #begin (): void {
    this.#cells = new Int32Array(new SharedArrayBuffer(8))
    try {
      this.#thread = this.#start({ cells: this.#cells, pause: PAUSE })
    } catch {
      this.#isBroken = true
      return
    }
    const fail = (): void => {
      this.#isBroken = true
      this.#end()
    }
    this.#thread.once('online', () => { this.#isReady = true }).on('message', () => this.#wake()).once('error', fail).once('exit', fail)
    // Nobody waits for it yet.
    this.#thread.unref()
  }

  #end (): void {
    this.#thread = null
    this.#isReady = false
    this.#wake()
  }

  #wake (): void {
    this.#thread?.unref()
    for (const callback of this.#waiting.splice(0)) callback()
  }
}
