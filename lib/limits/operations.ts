import type { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { ClosingError } from '../errors.ts'
import { closeWithConnection } from './connection.ts'
import type { OperationRecord } from './record.ts'

/** Why most operations end early. Nobody is left to be told. */
const LEFT = new Error('the client has left')

/** A stream that an operation can own; of any kind, Duplex included. */
export type Destroyable = Pick<Readable, 'on' | 'destroy'>

/** Ends what an operation owns. */
export type End = (reason: Error) => Promise<void>

/**
 * One request in flight. It lasts until its response closed, its handler returned and what it owned has ended. The response's
 * `close` is the one event that tells of every end, the client that left included (`request.signal` and
 * `onResponse` do not), so it is watched from the very start.
 */
export class Operation {
  /** What there is to say of it at its end; whoever learns something writes it down here. */
  readonly record: OperationRecord
  #isOver = false
  #isClosed = false
  #isHandled = false
  /** There only where somebody asked for it: most operations are over before anybody could. */
  #over: AbortController | undefined
  #end: End | undefined
  #ended: Promise<void> = Promise.resolve()
  readonly #kept = new Set<Destroyable>()
  readonly #onDone: (operation: Operation) => void

  constructor (response: EventEmitter, record: OperationRecord, onDone: (operation: Operation) => void) {
    this.record = record
    this.#onDone = onDone
    closeWithConnection(response)
    response.once('close', () => {
      record.close()
      this.end(LEFT)
      this.#isClosed = true
      this.dispose()
      this.#settle()
    })
  }

  /** Aborted when the response closed, or when the operation has to end before that. */
  get over (): AbortSignal {
    this.#over ??= new AbortController()
    if (this.#isOver) this.#over.abort(LEFT)
    return this.#over.signal
  }

  /** Nobody is left to be told anything. */
  get isClosed (): boolean {
    return this.#isClosed
  }

  /** Takes over something that `end` ends. At once, when the client left while it was being started. */
  own (end: End): void {
    this.#end = end
    if (this.#isOver) this.#ended = end(LEFT)
  }

  /**
   * Takes over a stream that bytes of the request or of its answer go through, and destroys it when the response closes, whatever
   * came of it. Not for the request's own body: that would destroy the connection, and with it the answer.
   */
  keep<T extends Destroyable> (stream: T): T {
    // Whoever reads it hears of its errors; when nobody does any more, they are nobody's.
    stream.on('error', () => {})
    this.#kept.add(stream)
    if (this.#isClosed) this.dispose()
    return stream
  }

  /** Destroys the streams that it keeps, because nobody will read what comes out of them. */
  dispose (): void {
    for (const stream of this.#kept) stream.destroy()
    this.#kept.clear()
  }

  /** `reason` is what the client is told, if it can still be told anything. */
  async end (reason: Error): Promise<void> {
    this.#isOver = true
    this.#over?.abort(reason)
    if (this.#end !== undefined) this.#ended = this.#end(reason)
    await this.#ended
  }

  /** Its handler has returned. */
  handled (): void {
    this.#isHandled = true
    this.#settle()
  }

  #settle (): void {
    if (this.#isClosed && this.#isHandled) this.#ended.then(() => this.#onDone(this))
  }
}

/** The operations in flight, so that closing the server can wait for them and then end them. */
export class Operations {
  readonly #running = new Set<Operation>()
  readonly #onDone: (operation: Operation) => void
  #waiting: Array<() => void> = []
  #draining = false

  /** `onDone` hears of each operation once, after its end. */
  constructor (onDone: (operation: Operation) => void = () => {}) {
    this.#onDone = onDone
  }

  get size (): number {
    return this.#running.size
  }

  /** What is in flight now. */
  get records (): OperationRecord[] {
    return [...this.#running].map(({ record }) => record)
  }

  /** True once {@link drain} was called. */
  get isDraining (): boolean {
    return this.#draining
  }

  /** @throws ClosingError once {@link drain} was called. */
  begin (response: EventEmitter, record: OperationRecord): Operation {
    if (this.#draining) {
      const error = new ClosingError()
      record.fail(error)
      new Operation(response, record, this.#onDone).handled()
      throw error
    }
    const operation = new Operation(response, record, () => this.#done(operation))
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
    this.#onDone(operation)
    if (this.#running.size > 0) return
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
