import type { RequestDraft } from './fetch-draft.ts'
import { COMPLETE, INCOMPLETE, malformed, type ParseState, UNKNOWN } from './fetch-state.ts'

/** Arguments without a value (gitprotocol-v2(5), "fetch"). */
const BOOLEANS: ReadonlySet<string> = new Set(['done', 'thin-pack', 'no-progress', 'include-tag', 'ofs-delta', 'deepen-relative', 'sideband-all', 'wait-for-done'])

/**
 * A v2 request (serve.c, process_request, and upload-pack.c, process_args):
 *
 *     request   = command *capability [delim-pkt *argument] flush-pkt
 *
 * The command may stand anywhere among the capabilities.
 */
export class FetchV2 {
  readonly #draft: RequestDraft
  #section: 'capabilities' | 'arguments' = 'capabilities'
  #begun = false
  #command = false

  constructor (draft: RequestDraft) {
    this.#draft = draft
  }

  line (line: string): ParseState {
    this.#begun = true
    const understood = this.#section === 'capabilities' ? this.#capability(line) : this.#argument(line)
    return understood ? INCOMPLETE : UNKNOWN
  }

  flush (): ParseState {
    // A flush alone is the probe of a client that is about to send more; git answers it with nothing.
    if (!this.#begun) return COMPLETE
    if (!this.#command) return malformed('no command')
    return this.#draft.consistent ? COMPLETE : UNKNOWN
  }

  delimiter (): ParseState {
    if (this.#section === 'arguments') return malformed('second delimiter')
    if (!this.#command) return malformed('no command')
    this.#section = 'arguments'
    return INCOMPLETE
  }

  /** A BUG to git, which aborts. */
  responseEnd (): ParseState {
    return malformed('response end in a request')
  }

  /** git does not mind an end within the first packet. */
  end (): ParseState {
    return this.#begun ? malformed('ends too early') : UNKNOWN
  }

  #capability (line: string): boolean {
    const equals = line.indexOf('=')
    if (equals < 0) return false
    const [name, value] = [line.slice(0, equals), line.slice(equals + 1)]
    if (name === 'command') {
      this.#command = true
      return value === 'fetch' && this.#draft.once(name)
    }
    if (name === 'server-option') {
      this.#draft.keyable = false
      return this.#draft.keep(this.#draft.request.serverOptions, value)
    }
    return this.#draft.capability(name, value)
  }

  #argument (line: string): boolean {
    const { request } = this.#draft
    if (BOOLEANS.has(line)) {
      if (line === 'done') request.done = true
      if (line === 'deepen-relative') request.deepenRelative = true
      return this.#draft.once(line) && (line === 'done' || this.#draft.keep(request.capabilities, line))
    }
    const space = line.indexOf(' ')
    if (space < 0) return false
    const [keyword, value] = [line.slice(0, space), line.slice(space + 1)]
    switch (keyword) {
      case 'have': return this.#draft.have(value)
      case 'want-ref': return value !== '' && this.#draft.once(line) && this.#draft.keep(request.wantRefs, value)
      case 'packfile-uris':
        this.#draft.keyable = false
        return this.#draft.once(keyword) && this.#draft.keep(request.capabilities, line)
      default: return this.#draft.argument(keyword, value)
    }
  }
}
