import { RequestDraft } from './fetch-draft.ts'
import { type Dependency, requestDependency, requestDigest } from './fetch-key.ts'
import { INCOMPLETE, malformed, type ParseState, TOO_LARGE, UNKNOWN } from './fetch-state.ts'
import { FetchV0 } from './fetch-v0.ts'
import { FetchV2 } from './fetch-v2.ts'
import { type Packet, PacketReader } from './packet-reader.ts'

export type { Dependency } from './fetch-key.ts'
export type { ParseState } from './fetch-state.ts'

/** What a client asks git-upload-pack for in one request (gitprotocol-v2(5), "fetch"; gitprotocol-pack(5)). */
export interface FetchRequest {
  readonly protocol: 0 | 1 | 2
  /**
   * How the object ids are written. A v2 client that names none means `sha1`; in v0 and v1 it follows from
   * the first want. Where it is not the repository's, git reads the ids otherwise, or not at all.
   */
  readonly objectFormat: 'sha1' | 'sha256'
  /** Object ids in the order sent, possibly repeated. In v2 they may name any object, whether a ref reaches it or not. */
  readonly wants: readonly string[]
  /** Full ref names (v2, where `uploadpack.allowRefInWant` is set). */
  readonly wantRefs: readonly string[]
  /** Number of object ids that the client says it has. A negotiation takes several requests, each repeats what is common. */
  readonly haves: number
  /** Number of commits at which the client's history is cut off. */
  readonly shallows: number
  /** The client ends the negotiation and expects a pack. */
  readonly done: boolean
  /** Number of commits from the tips; 2147483647 fetches all that is missing (`--unshallow`). */
  readonly depth: number | undefined
  /** Seconds since 1970; nothing older is sent. */
  readonly deepenSince: number | undefined
  /** Refs, or names that git completes to one; what they reach is not sent. */
  readonly deepenNot: readonly string[]
  /** The depth counts from where the client's history is cut off. */
  readonly deepenRelative: boolean
  /** Filter of a partial clone, such as `blob:none` (git-rev-list(1), `--filter`). */
  readonly filter: string | undefined
  /**
   * v2: capability lines except `command` and `server-option`, and arguments that are no list and have no field of their own,
   * such as `thin-pack`. v0 and v1: the capabilities behind the first want. In the order sent.
   */
  readonly capabilities: readonly string[]
  /** What the client says it is, such as `git/2.39.5`. */
  readonly agent: string | undefined
  /** Sent only where `transfer.advertiseSID` is set on both sides. */
  readonly sessionId: string | undefined
  /** Values of `git fetch --server-option` (v2). */
  readonly serverOptions: readonly string[]
}

/** Longest body that is read, in bytes. */
const DEFAULT_MAX_BYTES = 10 * 1024 * 1024
/** What a request may make the parser keep, in bytes: about 40,000 wants and shallows. */
const MAX_COST = 4 * 1024 * 1024
const LF = 0x0a

/**
 * Reads the body of a `POST .../git-upload-pack` (inflated) while it streams by, however it is split, in bounded
 * memory. As strict as the protocol's documents: what git takes beyond them is `unknown`, so that nobody decides
 * by one reading and git acts by another.
 */
export class FetchRequestParser {
  readonly #draft: RequestDraft
  readonly #version: FetchV0 | FetchV2
  readonly #reader: PacketReader = new PacketReader()
  #state: ParseState = INCOMPLETE
  #bytesLeft: number

  /**
   * @param protocol The version that git answers in.
   * @param maxBytes Longest body that is read; one that goes on is `too-large`. Default 10 MiB.
   */
  constructor (protocol: 0 | 1 | 2, maxBytes: number = DEFAULT_MAX_BYTES) {
    this.#draft = new RequestDraft(protocol)
    this.#version = protocol === 2 ? new FetchV2(this.#draft) : new FetchV0(this.#draft)
    this.#bytesLeft = maxBytes
  }

  /** What was understood so far; all of it when the state is `complete`. It changes while bytes arrive. */
  get request (): FetchRequest {
    return this.#draft.request
  }

  /** What beside the request the answer depends on; meant for a complete request. */
  get dependsOn (): Dependency {
    return requestDependency(this.#draft)
  }

  /**
   * Takes the next bytes. Every state but `incomplete` is final, except that bytes behind a complete request make it
   * `unknown`: a stateless git reads exactly one request (serve.c, protocol_v2_serve_loop) and ignores what
   * follows, which no client sends.
   */
  push (chunk: Buffer): ParseState {
    if (chunk.length === 0) return this.#state
    if (this.#state.state === 'incomplete') this.#state = this.#read(chunk)
    else if (this.#state.state === 'complete') this.#state = UNKNOWN
    return this.#state
  }

  /** Says that the body is over. Never `incomplete`. */
  end (): ParseState {
    if (this.#state.state === 'incomplete') this.#state = this.#version.end(this.#reader.partial.length === 0)
    return this.#state
  }

  /**
   * Hex SHA-256 of the request as far as it decides about the answer: without agent and session id, with the order
   * of wants, shallows and capabilities taken out. The repository, its settings and what {@link dependsOn} names are
   * the caller's to add. Null when the answer must not be remembered: the request is not complete or wants
   * nothing, it has server options or packfile-uris, or it is a negotiation in v0 or v1.
   */
  digest (): string | null {
    return this.#state.state === 'complete' ? requestDigest(this.#draft) : null
  }

  #read (chunk: Buffer): ParseState {
    const allowed = chunk.subarray(0, this.#bytesLeft)
    this.#bytesLeft -= allowed.length
    this.#reader.feed(allowed)
    const state = this.#readPackets()
    if (this.#reader.rest.length === 0 && allowed.length === chunk.length) return state
    if (state.state === 'complete') return UNKNOWN
    return state.state === 'incomplete' ? TOO_LARGE : state
  }

  #readPackets (): ParseState {
    for (let packet = this.#reader.next(); packet !== null; packet = this.#reader.next()) {
      const state = this.#readPacket(packet)
      if (this.#draft.cost > MAX_COST) return TOO_LARGE
      if (state.state !== 'incomplete') return state
    }
    return INCOMPLETE
  }

  #readPacket (packet: Packet): ParseState {
    switch (packet.kind) {
      case 'data': return this.#readLine(packet.payload)
      case 'flush': return this.#version.flush()
      case 'delimiter': return this.#version.delimiter()
      case 'response-end': return this.#version.responseEnd()
      case 'oversized': return UNKNOWN
      case 'invalid': return malformed('bad packet length')
    }
  }

  #readLine (payload: Buffer): ParseState {
    const length = payload[payload.length - 1] === LF ? payload.length - 1 : payload.length
    if (length === 0) return malformed('empty packet')
    const line = payload.toString('utf8', 0, length)
    // git's strings end at a NUL, and bytes that are no UTF-8 could not be told apart.
    return line.includes('\0') || line.includes('\ufffd') ? UNKNOWN : this.#version.line(line)
  }
}
