import type { EventEmitter } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { ClosingError } from '../errors.ts'

/** Ends what an operation owns. */
export type End = (reason?: Error) => Promise<void>

/**
 * One request in flight. It lasts until its response closed and what it owned has ended. The response's `close` is the
 * one event that tells of every end, the client that left included (`request.signal` and
 * `onResponse` do not), so it is watched from the very start.
 */
export class Operation {
  #closed = false
  #end: End | undefined
  readonly #onDone: () => void

  constructor (response: EventEmitter, onDone: () => void) {
    this.#onDone = onDone
    response.once('close', () => {
      this.#closed = true
      this.end().then(onDone)
    })
  }

  /** Takes over something that `end` ends. At once, when the client left while it was being started. */
  async own (end: End): Promise<void> {
    this.#end = end
    if (!this.#closed) return
    await this.end()
    this.#onDone()
  }

  /** `reason` is what the client is told, if it can still be told anything. */
  async end (reason?: Error): Promise<void> {
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
