import { encodePacket, FLUSH } from './pkt-line.ts'

/** One ref that a push changes. Ids are lower-case hex; all zeros is "no object". */
export interface PushCommand {
  old: string
  new: string
  /** A full name below `refs/`. The UTF-8 of this string is exactly what the client sent. */
  ref: string
  kind: 'create' | 'update' | 'delete'
}

/** What a receive-pack request says before its pack (gitprotocol-pack(5), "Reference Update Request"). */
export interface PushHead {
  /** In the client's order; those of the certificate where there is one. Empty for a probe. No ref appears twice. */
  commands: PushCommand[]
  /** Ids of the client's shallow commits. */
  shallow: string[]
  /** As sent; unknown ones are kept. git only heeds `atomic` and `push-options` where its config lets it advertise them. */
  capabilities: string[]
  objectFormat: 'sha1' | 'sha256'
  /** Push options; empty unless `push-options` was asked for. */
  options: string[]
  /** Text of the push certificate, signature included. git checks the signature, nothing here does. */
  certificate: string | null
  agent: string | null
  sessionId: string | null
}

/** The kind of a change from `from` to `to`; null for a change from nothing to nothing. */
export function commandKind (from: string, to: string): PushCommand['kind'] | null {
  const [absentBefore, absentAfter] = [isZero(from), isZero(to)]
  if (absentBefore) return absentAfter ? null : 'create'
  return absentAfter ? 'delete' : 'update'
}

function isZero (id: string): boolean {
  return /^0+$/.test(id)
}

/**
 * The bytes of `head` again, with only those of its commands that are given: what git gets to read when some refs of a
 * push were refused. Null where that is impossible: a certificate is signed as a whole, so it goes with all its commands or
 * not at all. Without commands, git does nothing.
 */
export function encodePushHead (head: PushHead, commands: readonly PushCommand[]): Buffer | null {
  const packets = head.shallow.map((id) => encodePacket(`shallow ${id}\n`))
  const capabilities = head.capabilities.length === 0 ? '' : `\0 ${head.capabilities.join(' ')}`
  if (head.certificate === null) {
    // The parser's limits let every command stand first.
    commands.forEach((command, index) => {
      packets.push(encodePacket(`${command.old} ${command.new} ${command.ref}${index === 0 ? capabilities : ''}`))
    })
  } else {
    const kept = new Set(commands)
    if (!head.commands.every((command) => kept.has(command))) return null
    const lines = head.certificate.split(/(?<=\n)/)
    packets.push(...[`push-cert${capabilities}`, ...lines, 'push-cert-end\n'].map((line) => encodePacket(line)))
  }
  packets.push(Buffer.from(FLUSH))
  if (commands.length > 0 && head.capabilities.includes('push-options')) {
    packets.push(...head.options.map((option) => encodePacket(option)), Buffer.from(FLUSH))
  }
  return Buffer.concat(packets)
}
