import type { RequestDraft } from './fetch-draft.ts'
import { COMPLETE, INCOMPLETE, malformed, type ParseState, UNKNOWN } from './fetch-state.ts'

/** Capabilities without a value that a client may ask for (gitprotocol-capabilities(5)). */
const BOOLEANS: ReadonlySet<string> = new Set([
  'multi_ack', 'multi_ack_detailed', 'no-done', 'thin-pack', 'side-band', 'side-band-64k', 'ofs-delta', 'shallow',
  'deepen-since', 'deepen-not', 'deepen-relative', 'no-progress', 'include-tag', 'filter',
  'allow-tip-sha1-in-want', 'allow-reachable-sha1-in-want'
])
/** git also separates capabilities at other white space. */
const VALUE = /^[\x21-\x7e]+$/
const SHA256_LENGTH = 64

/**
 * A stateless v0 or v1 request (gitprotocol-pack(5); upload-pack.c, receive_needs and get_common_commits):
 *
 *     request     = flush-pkt / needs [negotiation]
 *     needs       = want SP capabilities *(want / shallow / deepen / filter) flush-pkt
 *     negotiation = *have (flush-pkt / "done")
 *
 * With a depth a client first asks without the negotiation, and the end of the body ends the request.
 */
export class FetchV0 {
  readonly #draft: RequestDraft
  #section: 'needs' | 'negotiation' = 'needs'

  constructor (draft: RequestDraft) {
    this.#draft = draft
  }

  line (line: string): ParseState {
    if (this.#section === 'negotiation') return this.#negotiate(line)
    const space = line.indexOf(' ')
    const understood = space >= 0 && this.#need(line.slice(0, space), line.slice(space + 1))
    return understood ? INCOMPLETE : UNKNOWN
  }

  flush (): ParseState {
    if (this.#section === 'negotiation') {
      this.#draft.keyable = false
      return COMPLETE
    }
    // Who wants nothing gets nothing: the probe of a client that is about to send more.
    if (this.#draft.request.wants.length === 0) return COMPLETE
    this.#section = 'negotiation'
    return this.#draft.consistent ? INCOMPLETE : UNKNOWN
  }

  /** As good as a flush to git, which reads on until a packet is not a line. */
  delimiter (): ParseState {
    return UNKNOWN
  }

  responseEnd (): ParseState {
    return UNKNOWN
  }

  /** git does not mind an end between the sections, nor within the first packet of the second. */
  end (betweenPackets: boolean): ParseState {
    if (this.#section === 'needs' || this.#draft.request.haves > 0) return malformed('ends too early')
    return betweenPackets ? COMPLETE : UNKNOWN
  }

  #need (keyword: string, value: string): boolean {
    const { wants, capabilities } = this.#draft.request
    if (wants.length === 0) return keyword === 'want' && this.#firstWant(value)
    if (keyword === 'filter' && !capabilities.includes('filter')) return false
    return this.#draft.argument(keyword, value)
  }

  #firstWant (value: string): boolean {
    const { request } = this.#draft
    const [id = '', ...capabilities] = value.split(' ')
    // git's own client names no object format here.
    if (id.length === SHA256_LENGTH) request.objectFormat = 'sha256'
    return capabilities.every((capability) => capability === '' || this.#capability(capability)) && this.#draft.argument('want', id)
  }

  #capability (capability: string): boolean {
    if (BOOLEANS.has(capability)) {
      if (capability === 'deepen-relative') this.#draft.request.deepenRelative = true
      return this.#draft.once(capability) && this.#draft.keep(this.#draft.request.capabilities, capability)
    }
    const equals = capability.indexOf('=')
    const value = capability.slice(equals + 1)
    return equals > 0 && VALUE.test(value) && this.#draft.capability(capability.slice(0, equals), value)
  }

  #negotiate (line: string): ParseState {
    if (line === 'done') {
      this.#draft.request.done = true
      return COMPLETE
    }
    this.#draft.keyable = false
    return line.startsWith('have ') && this.#draft.have(line.slice('have '.length)) ? INCOMPLETE : UNKNOWN
  }
}
