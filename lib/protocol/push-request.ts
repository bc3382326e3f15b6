import { isUtf8 } from 'node:buffer'
import { type Packet, PacketReader } from './packet-reader.ts'
import { parsePushCapabilities } from './push-capabilities.ts'
import { CertificateReader } from './push-certificate.ts'
import { CommandList, ID_LENGTH } from './push-command.ts'
import type { PushHead } from './push-head.ts'

/** What is known after a chunk. `complete`, `malformed` and `too-large` are final. */
export type PushParseState =
  | { state: 'incomplete' }
  /** `consumed`: bytes of the last chunk that belong to the head; the rest is the pack. */
  | { state: 'complete', head: PushHead, consumed: number }
  /** `reason` is for the client; it repeats nothing that the client sent. */
  | { state: 'malformed', reason: string }
  | { state: 'too-large' }

/** JGit's limit for commands; here for the whole head. */
const MAX_BYTES = 3 * 1024 * 1024
const SHALLOW = /^shallow ([0-9a-f]+)$/
// Tabs are in options that people write; nothing else can stand in a line of a log or a variable of a hook.
// eslint-disable-next-line no-control-regex
const OPTION = /^[^\u0000-\u0008\u000a-\u001f\u007f]+$/

/**
 * Reads the head of a receive-pack request, up to the byte before the pack (gitprotocol-pack(5), "Reference Update
 * Request and Packfile Transfer"; git's builtin/receive-pack.c, read_head_info):
 *
 *     *shallow ( 1*command / certificate ) flush [ *push-option flush ]
 *     command = old-id SP new-id SP name [ NUL capabilities ] [ LF ]
 *
 * Only this grammar: git itself also takes capabilities from any line, special packets for a flush, upper-case ids, plain
 * commands beside a certificate and bytes behind a NUL, and whoever decides on a push must not read it otherwise than git
 * will. Everything is UTF-8, so that two refs that differ in bytes differ as strings.
 */
export class PushRequestParser {
  readonly #maxBytes: number
  readonly #packets = new PacketReader()
  readonly #shallow: string[] = []
  #section: 'shallow' | 'commands' | 'certificate' | 'certified' | 'options' = 'shallow'
  #head: PushHead | null = null
  #commands = new CommandList('sha1')
  #certificate: CertificateReader | null = null
  #ended: PushParseState | null = null

  /** `maxBytes`: longest head in bytes, default 3 MiB. */
  constructor ({ maxBytes }: { maxBytes: number } = { maxBytes: MAX_BYTES }) {
    this.#maxBytes = maxBytes
  }

  /** Takes the next bytes of the request. After the end the answer stays, and nothing more is consumed. */
  push (chunk: Buffer): PushParseState {
    if (this.#ended !== null) return this.#ended
    this.#packets.feed(chunk)
    for (;;) {
      const packet = this.#packets.next()
      if (this.#packets.announced > this.#maxBytes) return this.#end({ state: 'too-large' })
      if (packet === null) return { state: 'incomplete' }
      const reason = this.#take(packet)
      if (reason === 'end') return this.#complete(chunk.length - this.#packets.rest.length)
      if (reason !== null) return this.#end({ state: 'malformed', reason })
    }
  }

  #take (packet: Packet): string | null {
    if (packet.kind === 'flush') return this.#flush()
    if (packet.kind !== 'data' || packet.payload.length === 0) return 'unexpected packet'
    if (!isUtf8(packet.payload)) return 'a line is not UTF-8'
    const line = packet.payload.toString('utf8')
    // git takes it for an error of the client and gives up (pkt-line.c, PACKET_READ_DIE_ON_ERR_PACKET).
    if (line.startsWith('ERR ')) return 'unexpected error packet'
    if (this.#section === 'certificate') return this.#certificateLine(line)
    return this.#line(line.endsWith('\n') ? line.slice(0, -1) : line)
  }

  #line (line: string): string | null {
    switch (this.#section) {
      case 'shallow': return line.startsWith('shallow ') ? this.#shallowLine(line) : this.#firstLine(line)
      case 'commands': return this.#commands.add(line)
      case 'options': return this.#option(line)
      default: return 'a line follows the certificate'
    }
  }

  #shallowLine (line: string): string | null {
    const id = SHALLOW.exec(line)?.[1]
    if (id === undefined) return 'a shallow line is not "shallow id"'
    this.#shallow.push(id)
    return null
  }

  #firstLine (line: string): string | null {
    const nul = line.indexOf('\0')
    const capabilities = parsePushCapabilities(nul < 0 ? '' : line.slice(nul + 1))
    if (typeof capabilities === 'string') return capabilities
    const command = nul < 0 ? line : line.slice(0, nul)
    this.#head = { ...capabilities, commands: [], shallow: this.#shallow, options: [], certificate: null }
    if (!this.#sameLength(ID_LENGTH[capabilities.objectFormat])) return 'a shallow id has the wrong length'
    if (command === 'push-cert' && nul >= 0) {
      this.#certificate = new CertificateReader(capabilities.objectFormat)
      this.#section = 'certificate'
      return null
    }
    this.#commands = new CommandList(capabilities.objectFormat)
    this.#section = 'commands'
    return this.#commands.add(command)
  }

  #sameLength (length: number): boolean {
    return this.#shallow.every((id) => id.length === length)
  }

  #certificateLine (packet: string): string | null {
    if (packet !== 'push-cert-end\n') return this.#certificate?.add(packet) ?? null
    if (this.#certificate?.signed !== true) return 'the certificate has no signature'
    this.#section = 'certified'
    return null
  }

  #option (line: string): string | null {
    if (!OPTION.test(line)) return 'a push option is empty or holds a control character'
    this.#head?.options.push(line)
    return null
  }

  #flush (): string | null {
    if (this.#section === 'certificate') return 'the certificate does not end'
    const options = this.#section !== 'options' && this.#head?.capabilities.includes('push-options') === true
    if (!options) return 'end'
    this.#section = 'options'
    return null
  }

  #complete (consumed: number): PushParseState {
    const head = this.#head ?? this.#withoutCommands()
    if (head === null) return this.#end({ state: 'malformed', reason: 'a shallow id has the wrong length' })
    head.commands = this.#certificate?.commands ?? this.#commands.commands
    if (this.#certificate !== null) {
      head.certificate = this.#certificate.text
      if (!sameOptions(head.options, this.#certificate.options)) return this.#end({ state: 'malformed', reason: 'the push options are not those of the certificate' })
    }
    this.#end({ state: 'complete', head, consumed: 0 })
    return { state: 'complete', head, consumed }
  }

  /** A probe, or the shallow lines that git sends when there is nothing to push. They alone tell the object format. */
  #withoutCommands (): PushHead | null {
    const objectFormat = this.#shallow[0]?.length === ID_LENGTH.sha256 ? 'sha256' : 'sha1'
    if (!this.#sameLength(ID_LENGTH[objectFormat])) return null
    return { commands: [], shallow: this.#shallow, capabilities: [], objectFormat, options: [], certificate: null, agent: null, sessionId: null }
  }

  #end (state: PushParseState): PushParseState {
    this.#ended = state
    return state
  }
}

/** git answers a difference with "inconsistent push options" for every ref (receive-pack.c, check_cert_push_options). */
function sameOptions (sent: readonly string[], signed: readonly string[]): boolean {
  return sent.length === signed.length && sent.every((option, index) => option === signed[index])
}
