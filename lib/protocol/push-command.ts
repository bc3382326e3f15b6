import { commandKind, type PushCommand, type PushHead } from './push-head.ts'
import { isRefName } from './push-ref-name.ts'

/** Hex digits of an object id. */
export const ID_LENGTH: Record<PushHead['objectFormat'], number> = { sha1: 40, sha256: 64 }
/** Longest ref in bytes, the longest path of Linux. Leaves room for capabilities before it and a reason behind it in one packet. */
const MAX_REF_LENGTH = 4096
const COMMAND = /^([0-9a-f]+) ([0-9a-f]+) (.+)$/s

/** The commands of one push, in order. */
export class CommandList {
  readonly commands: PushCommand[] = []
  readonly #refs = new Set<string>()
  readonly #idLength: number

  constructor (objectFormat: PushHead['objectFormat']) {
    this.#idLength = ID_LENGTH[objectFormat]
  }

  /** Reads `old-id SP new-id SP name`; a string is the reason why it is refused. */
  add (line: string): string | null {
    const [, from = '', to = '', ref = ''] = COMMAND.exec(line) ?? []
    if (ref === '') return 'a command is not "old new ref"'
    if (from.length !== this.#idLength || to.length !== this.#idLength) return 'an object id has the wrong length'
    if (!ref.startsWith('refs/') || !isRefName(ref)) return 'a ref has an impossible name'
    if (Buffer.byteLength(ref) > MAX_REF_LENGTH) return 'the name of a ref is too long'
    if (this.#refs.has(ref)) return 'a ref is named twice'
    const kind = commandKind(from, to)
    if (kind === null) return 'a command changes nothing into nothing'
    this.#refs.add(ref)
    this.commands.push({ old: from, new: to, ref, kind })
    return null
  }
}
