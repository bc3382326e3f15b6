import type { FileHandle } from 'node:fs/promises'

/** Takes room in the folder, or gives it back when it is negative; false when there is none left. */
export type TakeRoom = (bytes: number) => Promise<boolean>

export interface TemporaryFileOptions {
  handle: FileHandle
  path: string
  takeRoom: TakeRoom
  remove: () => Promise<void>
  /** It takes no room any more, or is kept. */
  onClosed: () => void
}

/** A file of the cache that grows; its readers share its descriptor. */
export class TemporaryFile {
  readonly handle: FileHandle
  readonly path: string
  readonly #options: TemporaryFileOptions
  #size = 0
  #taken = 0
  #onUnused: (() => void) | null = null
  #discarded: Promise<void> | undefined

  constructor (options: TemporaryFileOptions) {
    this.handle = options.handle
    this.path = options.path
    this.#options = options
  }

  /** Bytes in it. */
  get size (): number {
    return this.#size
  }

  /** It has got another name, under which it stays. What it takes is the folder's from now on; `onUnused` tells it when nobody reads it here. */
  keep (onUnused: () => void): void {
    this.#onUnused = onUnused
    this.#taken = 0
  }

  /** Writes some of `buffers`, and says how many bytes. @throws when there is no room. */
  async append (buffers: Buffer[]): Promise<number> {
    const length = buffers.reduce((sum, { byteLength }) => sum + byteLength, 0)
    if (!await this.#options.takeRoom(length)) throw new Error('the folder holds as much as it may')
    this.#taken += length
    let written = 0
    try {
      written = (await this.handle.writev(buffers, this.#size)).bytesWritten
    } finally {
      this.#taken -= length - written
      await this.#options.takeRoom(written - length)
    }
    // No file system says so; if one did, asking again would be an endless loop.
    if (written === 0) throw new Error('nothing could be written')
    this.#size += written
    return written
  }

  /** Removes it, unless it is kept, and closes it; its readers fail. Never rejects. */
  discard (): Promise<void> {
    this.#discarded ??= this.#discard()
    return this.#discarded
  }

  async #discard (): Promise<void> {
    if (this.#onUnused === null) await this.#options.remove()
    await this.handle.close().catch(() => {})
    await this.#options.takeRoom(-this.#taken)
    this.#onUnused?.()
    this.#options.onClosed()
  }
}
