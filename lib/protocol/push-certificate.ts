import { CommandList } from './push-command.ts'
import type { PushHead } from './push-head.ts'

const VERSION = 'certificate version 0.1'
/** Header lines in their order; only the last kind may repeat. */
const FIELDS = ['pusher ', 'pushee ', 'nonce ', 'push-option ']
const OPTION = FIELDS.length - 1
/** What a signature may start with (gpg-interface.c). git ends the commands at the last such line, so there must be one. */
const SIGNATURES = ['-----BEGIN PGP SIGNATURE-----', '-----BEGIN PGP MESSAGE-----', '-----BEGIN SIGNED MESSAGE-----', '-----BEGIN SSH SIGNATURE-----']
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f]/

/**
 * Reads a push certificate (gitprotocol-pack(5), "Push Certificate"). git executes the commands in it even where it never
 * offered to take one, and reads them out of the joined text by looking for a blank line and a signature. Here every packet
 * is one line with its place in the grammar, so that there is one way to read it:
 *
 *     "certificate version 0.1" LF, "pusher" LF, ["pushee" LF], ["nonce" LF], *("push-option" LF), LF,
 *     1*(command LF), 1*(signature LF)
 */
export class CertificateReader {
  readonly #commands: CommandList
  readonly #lines: string[] = []
  readonly #options: string[] = []
  #field = -1
  #section: 'header' | 'commands' | 'signature' = 'header'

  constructor (objectFormat: PushHead['objectFormat']) {
    this.#commands = new CommandList(objectFormat)
  }

  get commands (): CommandList['commands'] {
    return this.#commands.commands
  }

  get options (): readonly string[] {
    return this.#options
  }

  get text (): string {
    return this.#lines.join('')
  }

  /** True where `push-cert-end` may follow. */
  get signed (): boolean {
    return this.#section === 'signature'
  }

  /** Takes the next packet as it is; a string is the reason why it is refused. */
  add (packet: string): string | null {
    const line = packet.slice(0, -1)
    if (!packet.endsWith('\n') || CONTROL.test(line)) return 'a packet of the certificate is not one line'
    const reason = this.#section === 'header' ? this.#header(line) : this.#body(line)
    this.#lines.push(packet)
    return reason
  }

  #header (line: string): string | null {
    if (this.#lines.length === 0) return line === VERSION ? null : 'the certificate has another version'
    if (line === '' && this.#field >= 0) {
      this.#section = 'commands'
      return null
    }
    const field = FIELDS.findIndex((name) => line.startsWith(name))
    const expected = field === 0 ? this.#field < 0 : this.#field >= 0 && (field > this.#field || field === OPTION)
    if (!expected) return 'the certificate has an unexpected header'
    this.#field = field
    if (field === OPTION) this.#options.push(line.slice('push-option '.length))
    return null
  }

  #body (line: string): string | null {
    const signature = SIGNATURES.some((start) => line.startsWith(start))
    if (this.#section === 'signature') return signature ? 'the certificate has two signatures' : null
    if (!signature) return this.#commands.add(line)
    if (this.commands.length === 0) return 'the certificate has no commands'
    this.#section = 'signature'
    return null
  }
}
