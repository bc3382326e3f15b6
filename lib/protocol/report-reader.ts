import { PacketReader } from './packet-reader.ts'
import { BAND_DATA, wantsReport } from './push-bands.ts'
import { commandKind, type PushCommand } from './push-head.ts'

/** How a proc-receive hook changed a command; null where it did not (gitprotocol-pack(5), "report-status-v2"). */
export interface ReportedUpdate {
  ref: string | null
  old: string | null
  new: string | null
  forced: boolean
}

/** What git says of one ref. */
export interface ReportedRef {
  ref: string
  ok: boolean
  /** Null when it is ok. */
  reason: string | null
  updates: ReportedUpdate[]
}

export interface PushReport {
  /** `ok`, or why the pack was not unpacked. */
  unpack: string
  refs: ReportedRef[]
}

/** Longest report in bytes, as long as the longest list of commands. */
const MAX_BYTES = 3 * 1024 * 1024
const ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/

/**
 * Follows receive-pack's answer while it streams by and reads the report in it. Needed because an exit code says little: a
 * push that was cut off can exit 0.
 */
export class PushReportReader {
  readonly #wanted: boolean
  readonly #maxBytes: number
  readonly #outer: PacketReader | null
  readonly #inner = new PacketReader()
  #unpack: string | null = null
  readonly #refs = new Map<string, ReportedRef>()
  #current: ReportedRef | null = null
  #fresh = true
  #reading: 'report' | 'done' | 'unreadable' = 'report'

  /** `capabilities`: what the client asked for, {@link PushHead.capabilities}. `maxBytes`: default 3 MiB. */
  constructor (capabilities: readonly string[], { maxBytes }: { maxBytes: number } = { maxBytes: MAX_BYTES }) {
    this.#wanted = wantsReport(capabilities)
    this.#maxBytes = maxBytes
    this.#outer = capabilities.includes('side-band-64k') ? new PacketReader() : null
  }

  /** Takes the next bytes of the answer, however they are split; it keeps and changes none of them. */
  update (chunk: Buffer): void {
    if (!this.#wanted || this.#reading !== 'report') return
    if (this.#outer === null) {
      this.#read(chunk)
      return
    }
    this.#outer.feed(chunk)
    for (let packet = this.#outer.next(); packet !== null && this.#reading === 'report'; packet = this.#outer.next()) {
      if (packet.kind !== 'data') this.#reading = 'unreadable'
      else if (packet.payload[0] === BAND_DATA) this.#read(packet.payload.subarray(1))
    }
  }

  /** The report; null as long as it is not complete, and for ever when the client asked for none, or it is malformed or too long. */
  get report (): PushReport | null {
    if (this.#reading !== 'done' || this.#unpack === null) return null
    return { unpack: this.#unpack, refs: [...this.#refs.values()] }
  }

  #read (bytes: Buffer): void {
    this.#inner.feed(bytes)
    for (let packet = this.#inner.next(); packet !== null && this.#reading === 'report'; packet = this.#inner.next()) {
      if (packet.kind === 'flush') this.#reading = this.#unpack === null ? 'unreadable' : 'done'
      else if (packet.kind !== 'data' || this.#inner.announced > this.#maxBytes || !this.#line(packet.payload.toString('utf8').replace(/\n$/, ''))) this.#reading = 'unreadable'
    }
  }

  #line (line: string): boolean {
    // To git's client it would end there, and name another ref.
    if (line.includes('\0')) return false
    const [word = '', name = '', ...rest] = line.split(' ')
    if (this.#unpack === null) {
      this.#unpack = line.slice('unpack '.length)
      return line.startsWith('unpack ')
    }
    if (word === 'option') return this.#option(name, rest.join(' '))
    if ((word !== 'ok' && word !== 'ng') || name === '') return false
    const ok = word === 'ok'
    const before = this.#refs.get(name)
    // A hook that made several updates of one command repeats its "ok" before each one's options.
    this.#current = { ref: name, ok, reason: ok ? null : rest.join(' ') || 'failed', updates: ok && before?.ok === true ? before.updates : [] }
    this.#fresh = true
    this.#refs.set(name, this.#current)
    return true
  }

  #option (key: string, value: string): boolean {
    if (this.#current?.ok !== true) return false
    if (this.#fresh) this.#current.updates.push({ ref: null, old: null, new: null, forced: false })
    this.#fresh = false
    const update = this.#current.updates.at(-1)
    if (update === undefined) return false
    if (key === 'refname') update.ref = value
    else if (key === 'old-oid' && ID.test(value)) update.old = value
    else if (key === 'new-oid' && ID.test(value)) update.new = value
    else if (key === 'forced-update') update.forced = true
    return true
  }
}

/**
 * The refs that really moved, as git reports them: those of `commands` that are ok, replaced by what a proc-receive hook made of
 * them. None without a report, which does not mean that nothing moved. git also calls the deletion of a ref ok that was
 * not there.
 */
export function movedRefs (report: PushReport | null, commands: readonly PushCommand[]): PushCommand[] {
  const ok = new Map(report?.refs.filter((result) => result.ok).map((result) => [result.ref, result.updates]))
  return commands.flatMap((command) => {
    const updates = ok.get(command.ref)
    if (updates === undefined) return []
    return updates.length === 0 ? [command] : updates.map((update) => changed(command, update))
  })
}

function changed (command: PushCommand, update: ReportedUpdate): PushCommand {
  const [from, to] = [update.old ?? command.old, update.new ?? command.new]
  return { old: from, new: to, ref: update.ref ?? command.ref, kind: commandKind(from, to) ?? command.kind }
}
