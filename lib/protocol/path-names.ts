/**
 * Puts a repository's public name in the place of its path in text that goes by, however it is split. Text that may still become a path
 * is held back.
 *
 * A path counts where it stands alone: refs/heads/srv/app.git does not hold /srv/app.git, nor does /srv/app.git-old.
 */
export class PathNames {
  readonly #paths: readonly string[]
  readonly #name: string
  readonly #pattern: RegExp
  /** The character before what is held. */
  #before = ''
  #held = ''

  /** `paths`: absolute, without a slash at the end. */
  constructor (paths: readonly string[], name: string) {
    // In the form in which bytes are kept here.
    this.#paths = paths.map((path) => Buffer.from(path).toString('latin1'))
    this.#name = Buffer.from(name).toString('latin1')
    const escaped = [...this.#paths].sort((a, b) => b.length - a.length).map((path) => path.replace(/[^A-Za-z0-9_/]/g, (sign) => `\\x${sign.charCodeAt(0).toString(16).padStart(2, '0')}`))
    this.#pattern = new RegExp(`(?<![\\w.~/\\x80-\\xff-])(?:${escaped.join('|')})(?![\\w\\x80-\\xff-])`, 'g')
  }

  /** Takes the next bytes of a text; returns those that may go on. */
  update (chunk: Buffer): Buffer {
    return this.#pass(chunk.toString('latin1'), false)
  }

  /** What is left of the text. */
  end (): Buffer {
    return this.#pass('', true)
  }

  /** The same for a text that is whole. */
  replace (text: Buffer): Buffer {
    return Buffer.from(text.toString('latin1').replace(this.#pattern, () => this.#name), 'latin1')
  }

  #pass (chunk: string, isEnd: boolean): Buffer {
    const text = this.#before + this.#held + chunk
    let [passed, at] = ['', this.#before.length]
    for (const { 0: path, index } of text.matchAll(this.#pattern)) {
      // What comes next decides whether it is one, or the start of a longer one.
      if (!isEnd && this.#paths.some((other) => other.startsWith(text.slice(index)))) break
      passed += text.slice(at, index) + this.#name
      at = index + path.length
    }
    const end = isEnd ? text.length : text.length - this.#mayBecomePath(text.slice(at))
    passed += text.slice(at, end)
    this.#before = end === 0 ? '' : text.slice(end - 1, end)
    this.#held = text.slice(end)
    return Buffer.from(passed, 'latin1')
  }

  /** How much of the end of `text` a path may begin with. */
  #mayBecomePath (text: string): number {
    return Math.max(0, ...this.#paths.map((path) => {
      let length = Math.min(path.length, text.length)
      while (!text.endsWith(path.slice(0, length))) length--
      return length
    }))
  }
}
