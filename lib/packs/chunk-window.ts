import { Piece } from './piece.ts'

/** What a piece holds from some place on. */
export interface Part {
  piece: Piece
  bytes: Buffer
}

/** The part of a growing answer that is held in memory, from `start` to `end`, as it came: its buffers are shared, never copied. */
export class ChunkWindow {
  #pieces: Piece[] = []
  #start = 0
  #end = 0

  get start (): number {
    return this.#start
  }

  get end (): number {
    return this.#end
  }

  get length (): number {
    return this.#end - this.#start
  }

  /** `owned`: nobody else has `bytes`, which are freed when nobody needs them. */
  push (bytes: Buffer, owned: boolean): void {
    this.#pieces.push(new Piece(this.#end, bytes, owned))
    this.#end += bytes.length
  }

  /** What one buffer holds from `position` on, which must be inside. */
  from (position: number): Part {
    const piece = this.#pieces[this.#indexOf(position)] as Piece
    const { start, bytes } = piece
    return { piece, bytes: position === start ? bytes : bytes.subarray(position - start) }
  }

  /** So many buffers and about so many bytes from `position` on. */
  batch (position: number, maxBytes: number, maxBuffers: number): Buffer[] {
    const buffers: Buffer[] = []
    for (let at = position; at < this.#end && at - position < maxBytes && buffers.length < maxBuffers;) {
      const { bytes } = this.from(at)
      buffers.push(bytes)
      at += bytes.length
    }
    return buffers
  }

  /** Lets go of buffers that lie wholly before `position`, as long as more than `spared` bytes are held. */
  drop (position: number, spared: number): void {
    let gone = 0
    for (let piece = this.#pieces[0]; piece !== undefined && this.length > spared; piece = this.#pieces[gone]) {
      if (piece.end > position) break
      this.#start = piece.end
      piece.letGo()
      gone++
    }
    if (gone > 0) this.#pieces.splice(0, gone)
  }

  /** Makes one buffer of all. */
  join (): Buffer {
    const bytes = Buffer.concat(this.#pieces.map((piece) => piece.bytes))
    for (const piece of this.#pieces) piece.letGo()
    this.#pieces = [new Piece(this.#start, bytes, false)]
    return bytes
  }

  /** `inUse`: somebody is just writing them to a file. */
  clear ({ inUse }: { inUse: boolean }): void {
    if (!inUse) for (const piece of this.#pieces) piece.letGo()
    this.#pieces = []
    this.#start = this.#end
  }

  /** The piece that holds `position`. */
  #indexOf (position: number): number {
    let [low, high] = [0, this.#pieces.length - 1]
    // Most are asked for the newest.
    if ((this.#pieces[high]?.start ?? 0) <= position) return high
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#pieces[middle] as Piece).start <= position) low = middle
      else high = middle - 1
    }
    return low
  }
}
