import { Transform, type TransformCallback } from 'node:stream'

const LF = 0x0a
const SPACE = 0x20
const TAB = 0x09

/**
 * Turns the lines of `git show-ref --dereference` into those of a dumb server's info/refs (http-protocol(5), "Dumb Server Response"):
 *
 *     obj-id SP refname LF   ->   obj-id HTAB refname LF
 *
 * With a ref prefix only its refs are listed, by their names inside the namespace. Holds one partial line at most.
 */
export class DumbListing extends Transform {
  readonly #prefix: Buffer
  #partial: Buffer = Buffer.alloc(0)

  constructor (prefix: string) {
    super()
    this.#prefix = Buffer.from(`${prefix}refs/`)
  }

  override _transform (chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    const bytes = this.#partial.length === 0 ? chunk : Buffer.concat([this.#partial, chunk])
    const lines: Buffer[] = []
    let start = 0
    for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, start)) {
      this.#translate(bytes.subarray(start, end + 1), lines)
      start = end + 1
    }
    this.#partial = Buffer.from(bytes.subarray(start))
    callback(null, lines.length === 0 ? null : Buffer.concat(lines))
  }

  #translate (line: Buffer, lines: Buffer[]): void {
    const name = line.indexOf(SPACE) + 1
    if (!line.subarray(name, name + this.#prefix.length).equals(this.#prefix)) return
    lines.push(line.subarray(0, name - 1), Buffer.of(TAB), line.subarray(name + this.#prefix.length - 'refs/'.length))
  }
}
