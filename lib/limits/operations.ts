import type { EventEmitter } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { ClosingError } from '../errors.ts'

/** Why most operations end early. Nobody is left to be told. */
const LEFT = new Error('the client has left')

/** Ends what an operation owns. */
export type End = (reason: Error) => Promise<void>

/**
 * One request in flight. It lasts until its response closed and what it owned has ended. The response's `close` is the
 * one event that tells of every end, the client that left included (`request.signal` and
 * `onResponse` do not), so it is watched from the very start.
 */
export class Operation {
  #isOver = false
  /** There only where somebody asked for it: most operations are over before anybody could. */
  #over: AbortController | undefined
  #end: End | undefined
  readonly #onDone: () => void

  constructor (response: EventEmitter, onDone: () => void) {
    this.#onDone = onDone
    response.once('close', () => {
      this.end(LEFT).then(onDone)
    })
  }

  /** Aborted when the response closed, or when the operation has to end before that. */
  get over (): AbortSignal {
    this.#over ??= new AbortController()
    if (this.#isOver) this.#over.abort(LEFT)
    return this.#over.signal
  }

  /** Takes over something that `end` ends. At once, when the client left while it was being started. */
  async own (end: End): Promise<void> {
    this.#end = end
    if (!this.#isOver) return
    await end(LEFT)
    this.#onDone()
  }

  /** `reason` is what the client is told, if it can still be told anything. */
  async end (reason: Error): Promise<void> {
    this.#isOver = true
    this.#over?.abort(reason)
    await this.#end?.(reason)
  }
}

/** The operations in flight, so that closing the server can wait for them and then end them. */
export class Operations {
  readonly #running = new Set<Operation>()
  #waiting: Array<() => void> = []
  #draining = false

  get size (): number {
    return this.#running.size
  }

  /** @throws ClosingError once {@link drain} was called. */
  begin (response: EventEmitter): Operation {
    if (this.#draining) throw new ClosingError()
    const operation: Operation = new Operation(response, () => this.#done(operation))
    this.#running.add(operation)
    return operation
  }

  /** Refuses new operations, waits up to `grace` milliseconds for those in flight, then ends what is left. */
  async drain (grace: number): Promise<void> {
    this.#draining = true
    if (this.#running.size === 0) return
    const waited = new AbortController()
    const idle = new Promise<void>((resolve) => { this.#waiting.push(resolve) })
    await Promise.race([idle, delay(grace, undefined, { signal: waited.signal }).catch(() => {})])
    waited.abort()
    await Promise.all([...this.#running].map((operation) => operation.end(new ClosingError())))
  }

  #done (operation: Operation): void {
    this.#running.delete(operation)
    if (this.#running.size > 0) return
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
