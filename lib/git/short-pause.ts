import { Worker } from 'node:worker_threads'

/**
 * Milliseconds between two wake-ups: about as long as a git that writes a pack from other packs needs to fill what Linux holds of it
 * (208 KiB). With less it takes more time of the processor, with 0.7 more of the clock (measured).
 */
const PAUSE = 0.6
/** The shortest pause that a timer of Node has, in milliseconds. */
const TIMER = 1

/** Wakes up at intervals for as long as each is of use to somebody: to be told each time would cost as much as all of the rest. */
const SLEEPER = `
const { workerData: { cells, pause }, parentPort } = require('node:worker_threads')
const [WANTED, NEVER, IDLE] = [0, 1, 2]
for (;;) {
  Atomics.wait(cells, NEVER, 0, pause)
  if (Atomics.exchange(cells, WANTED, 0) === 1) {
    parentPort.postMessage(null)
    continue
  }
  Atomics.store(cells, IDLE, 1)
  Atomics.wait(cells, WANTED, 0)
  Atomics.store(cells, IDLE, 0)
}`
const [WANTED, IDLE, CELLS] = [0, 2, 3]

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
  /** The thread runs. */
  #isReady = false
  /** There can be no thread: the process may not have one, or it ended. */
  #isBroken = false
  /** What both threads read: somebody waits; always 0; the thread sleeps until somebody does. */
  #cells: Int32Array = new Int32Array(CELLS)
  #waiting: Array<() => void> = []

  constructor (start: typeof startThread = startThread) {
    this.#start = start
  }

  /** Calls `callback` when the pause that is under way is over, or a whole one if there is none. */
  wait (callback: () => void): void {
    if (this.#thread === null && !this.#isBroken) this.#begin()
    if (!this.#isReady) {
      setTimeout(callback, TIMER)
      return
    }
    if (this.#waiting.push(callback) > 1) return
    this.#thread?.ref()
    Atomics.store(this.#cells, WANTED, 1)
    if (Atomics.load(this.#cells, IDLE) === 1) Atomics.notify(this.#cells, WANTED)
  }

  /** Ends the thread; who waits is called at once. */
  close (): void {
    this.#thread?.removeAllListeners().on('error', () => {}).terminate()
    this.#end()
  }

  #begin (): void {
    this.#cells = new Int32Array(new SharedArrayBuffer(CELLS * Int32Array.BYTES_PER_ELEMENT))
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
