const LINE_END = '\r\n'
/** Bytes of a head or a line that are more than any server here sends. */
const MAX_HEAD = 16_384

/** Takes the head and the chunks off an HTTP/1.1 response, and hands on the bytes between them. */
export class ResponseReader {
  status = 0
  /** The whole response has come. */
  complete = false
  readonly #onBody: (bytes: Buffer) => void
  #chunked = false
  /** Bytes of the body, or of the current chunk, that are still to come. */
  #left = 0
  #state: 'head' | 'size' | 'body' | 'end' | 'trailer' = 'head'
  /** The beginning of a line or a head that has not ended yet. */
  #partial = ''

  constructor (onBody: (bytes: Buffer) => void) {
    this.#onBody = onBody
  }

  /** @throws when this is no HTTP response with a known length. */
  push (bytes: Buffer): void {
    let at = 0
    while (at < bytes.length && !this.complete) at = this.#state === 'body' ? this.#readBody(bytes, at) : this.#readLine(bytes, at)
  }

  #readBody (bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#left)
    this.#left -= end - at
    this.#onBody(bytes.subarray(at, end))
    if (this.#left === 0) this.#chunked ? this.#state = 'end' : this.complete = true
    return end
  }

  /** Up to the end of a line, or of the head. */
  #readLine (bytes: Buffer, at: number): number {
    const mark = this.#state === 'head' ? LINE_END + LINE_END : LINE_END
    const before = this.#partial.length
    const until = Math.min(bytes.length, at + MAX_HEAD)
    const text = this.#partial + bytes.toString('latin1', at, until)
    const end = text.indexOf(mark)
    if (end === -1) {
      if (text.length > MAX_HEAD) throw new Error('a line without end')
      this.#partial = text
      return until
    }
    this.#partial = ''
    this.#understand(text.slice(0, end))
    return at + end + mark.length - before
  }

  #understand (text: string): void {
    if (this.#state === 'head') {
      this.status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1])
      this.#chunked = /^transfer-encoding: *chunked$/im.test(text)
      this.#left = Number(/^content-length: *(\d+)$/im.exec(text)?.[1] ?? NaN)
      if (!this.#chunked && Number.isNaN(this.#left)) throw new Error(`neither chunked nor with a length: ${text}`)
      this.complete = !this.#chunked && this.#left === 0
      this.#state = this.#chunked ? 'size' : 'body'
    } else if (this.#state === 'size') {
      this.#left = Number.parseInt(text, 16)
      if (Number.isNaN(this.#left)) throw new Error(`no length of a chunk: ${text}`)
      this.#state = this.#left === 0 ? 'trailer' : 'body'
    } else if (this.#state === 'end') {
      this.#state = 'size'
    } else if (text === '') {
      this.complete = true
    }
  }
}
