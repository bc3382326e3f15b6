import { availableParallelism } from 'node:os'
import { connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { release } from '../limits/release.ts'
import { ShortPause } from './short-pause.ts'

/** A short answer, and the beginning of a long one, goes on as it comes: so many bytes. */
const PROMPT = 65_536
/** Largest piece of a long one; more than the system holds of what git has written and nobody has read (Linux: net.core.wmem_default, 208 KiB). */
const PIECE = 262_144
/** Longest time that a piece is gathered for, in milliseconds; twice as long while every core is needed. */
const PATIENCE = 1
/** An answer of so many bytes is worth a thread that makes its pauses shorter. */
const LONG = 4 * 1024 * 1024
const CORES = availableParallelism()

/** How many there are. */
let open = 0
const pause = new ShortPause()

/**
 * What git writes to the connection that is its stdout.
 *
 * git writes a pack in pieces of 8 KiB (hashfd_throughput in csum-file.c), and each that is read alone costs this process and git a wake-up. So
 * those of a long answer are gathered. When at least as many gits run as there are cores, somebody else needs the core
 * meanwhile: then nothing is read for a while, and git goes on until what the system holds for it is full. For a git that writes
 * a pack from other packs this is so within a millisecond, so its pauses are shorter.
 */
export class GitOutput extends Readable {
  readonly #socket: Socket
  /** Read into from `#end` on; what lies between `#start` and `#end` was not passed on. */
  #slab: Buffer | null = null
  #start = 0
  #end = 0
  #total = 0
  #isWanted = true
  #isPausing = false
  /** What is there has waited for a pause. */
  #isOld = false
  #timer: NodeJS.Timeout | undefined

  /** Connects to `path` and sends `request`. */
  constructor (path: string, request: string) {
    super({ highWaterMark: PROMPT })
    open++
    this.#socket = connect({ path, onread: { buffer: () => this.#room(), callback: (length) => this.#received(length) } })
    this.#socket.on('error', (error) => this.destroy(error))
    this.#socket.once('end', () => {
      this.#pass()
      this.push(null)
    })
    this.#socket.once('close', () => { if (!this.#socket.readableEnded) this.destroy() })
    this.#socket.write(request)
  }

  override _read (): void {
    this.#isWanted = true
    if (!this.#isPausing) this.#socket.resume()
  }

  override _destroy (error: Error | null, callback: (error: Error | null) => void): void {
    if (--open === 0) pause.close()
    clearTimeout(this.#timer)
    this.#socket.destroy()
    // Nothing is read into it any more.
    if (this.#slab !== null) release(this.#slab)
    this.#slab = null
    callback(error)
  }

  /** Where the next bytes go. */
  #room (): Buffer {
    this.#slab ??= Buffer.allocUnsafeSlow(this.#total < PROMPT ? PROMPT : PIECE)
    return this.#slab.subarray(this.#end)
  }

  /** False: read no more for now. */
  #received (length: number): boolean {
    this.#end += length
    this.#total += length
    if (this.#total <= PROMPT || this.#end === this.#slab?.length) {
      this.#pass()
      this.#rewind()
      return this.#isWanted
    }
    if (open < CORES || this.#total < LONG) this.#timer ??= setTimeout(() => this.#tick(), PATIENCE)
    if (open < CORES) return true
    this.#isPausing = true
    if (this.#total >= LONG) pause.wait(() => this.#tick())
    return false
  }

  #tick (): void {
    if (this.destroyed) return
    this.#timer = undefined
    this.#isPausing = false
    // What has waited for one pause is passed on after the next one, unless its buffer is full before that.
    if (this.#isOld || open < CORES) this.#pass()
    else this.#isOld = true
    if (this.#isWanted) this.#socket.resume()
  }

  /** Passes on what is there: the whole slab as it is, less as a copy, so that its memory is its own. */
  #pass (): void {
    const [slab, start, end] = [this.#slab, this.#start, this.#end]
    this.#isOld = false
    if (slab === null || start === end || this.destroyed) return
    this.#start = end
    if (start === 0 && end === slab.length) {
      this.#slab = null
      this.#isWanted = this.push(slab)
    } else {
      const piece = Buffer.allocUnsafeSlow(end - start)
      slab.copy(piece, 0, start, end)
      this.#isWanted = this.push(piece)
    }
  }

  /** Only while the socket asks for the next buffer: what it was given before must not be used twice. */
  #rewind (): void {
    this.#start = this.#end = 0
    if (this.#slab !== null && this.#slab.length < PIECE && this.#total >= PROMPT) this.#slab = null
  }
}
