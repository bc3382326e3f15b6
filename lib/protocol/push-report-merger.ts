import { type Packet, PacketReader } from './packet-reader.ts'
import type { PathNames } from './path-names.ts'
import { DELIMITER, encodePacket, FLUSH, RESPONSE_END } from './pkt-line.ts'
import { BAND_DATA, BAND_ERROR, BAND_PROGRESS, toBand, wantsReport } from './push-bands.ts'
import { failureMessage, resultLine } from './report-status.ts'

const NOTHING: Buffer = Buffer.alloc(0)
/** The bytes of the packets without a payload. */
const SPECIAL: Partial<Record<Packet['kind'], Buffer>> = { flush: Buffer.from(FLUSH), delimiter: Buffer.from(DELIMITER), 'response-end': Buffer.from(RESPONSE_END) }

/** A ref that git never heard of, and why. */
export interface RefusedRef {
  ref: string
  reason: string
}

/** What git says of a ref that a hook refused (builtin/receive-pack.c, execute_commands and update). */
const DECLINED = /^ng (\S+) (?:pre-receive )?hook declined\n?$/

/** Why a hook refused a ref, in words that git does not know; undefined to leave git's. */
export type Rephrase = (ref: string) => string | undefined

/**
 * Puts the refs that were refused before git into git's answer on the others: one `ng` line each, before the flush that ends
 * the report. Everything else goes on as git sent it and as soon as its packet is whole, progress and keepalives included.
 * A client without report-status gets a side-band error before the last flush instead; one with neither can be told nothing.
 *
 * An answer that breaks off, or that is not framed, goes on as it is: what git did not finish must not look finished.
 */
export class ReportMerger {
  readonly #refused: readonly RefusedRef[]
  readonly #rephrase: Rephrase
  readonly #names: PathNames | null
  readonly #wanted: boolean
  readonly #banded: boolean
  readonly #outer = new PacketReader()
  readonly #report = new PacketReader()
  #inReport: boolean
  #raw: boolean

  /** `capabilities`: what the client asked for, {@link PushHead.capabilities}; `names`: for everything that people read. */
  constructor (refused: readonly RefusedRef[], capabilities: readonly string[], rephrase: Rephrase = () => undefined, names: PathNames | null = null) {
    this.#refused = refused
    this.#rephrase = rephrase
    this.#names = names
    this.#wanted = wantsReport(capabilities)
    this.#banded = capabilities.includes('side-band-64k')
    this.#inReport = this.#wanted
    this.#raw = !this.#wanted && !this.#banded
  }

  /** Takes the next bytes of git's answer; returns those that go to the client now. */
  update (chunk: Buffer): Buffer {
    if (this.#raw) return chunk
    if (!this.#banded) return this.#mergeReport(chunk)
    const sent: Buffer[] = []
    this.#outer.feed(chunk)
    for (let packet = this.#outer.next(); packet !== null; packet = this.#outer.next()) {
      sent.push(this.#packet(packet))
      if (this.#raw) {
        sent.push(this.#outer.rest)
        break
      }
    }
    return Buffer.concat(sent)
  }

  /** The bytes of a packet that git did not finish. */
  end (): Buffer {
    if (this.#raw) return NOTHING
    if (!this.#banded) return this.#report.partial
    return Buffer.concat([this.#unfinished(), this.#heldText(), this.#outer.partial])
  }

  /** What the report holds back for the rest of a packet. */
  #unfinished (): Buffer {
    return this.#inReport ? toBand(BAND_DATA, this.#report.partial) : NOTHING
  }

  #packet (packet: Packet): Buffer {
    if (packet.kind === 'data') {
      // A keepalive is an empty packet on the first band.
      const ofReport = this.#inReport && packet.payload[0] === BAND_DATA && packet.payload.length > 1
      return ofReport ? toBand(BAND_DATA, this.#mergeReport(packet.payload.subarray(1))) : this.#text(packet.payload)
    }
    if (packet.kind !== 'flush') {
      const held = this.end()
      this.#raw = true
      return Buffer.concat([held, SPECIAL[packet.kind] ?? NOTHING])
    }
    this.#raw = true
    const error = this.#wanted ? NOTHING : failureMessage(this.#refused.map(({ ref, reason }) => `${ref}: ${reason}`))
    return Buffer.concat([this.#unfinished(), this.#heldText(), error, Buffer.from(FLUSH)])
  }

  /** A packet that is not of the report. */
  #text (payload: Buffer): Buffer {
    if (this.#names === null || payload.length < 2) return encodePacket(payload)
    if (payload[0] === BAND_PROGRESS) return toBand(BAND_PROGRESS, this.#names.update(payload.subarray(1)))
    return payload[0] === BAND_ERROR ? Buffer.concat([this.#heldText(), toBand(BAND_ERROR, this.#names.replace(payload.subarray(1)))]) : encodePacket(payload)
  }

  #heldText (): Buffer {
    return this.#names === null ? NOTHING : toBand(BAND_PROGRESS, this.#names.end())
  }

  #line (payload: Buffer): Buffer {
    const ref = DECLINED.exec(payload.toString('utf8'))?.[1]
    const reason = ref === undefined ? undefined : this.#rephrase(ref)
    if (ref !== undefined && reason !== undefined) return resultLine({ ref, reason })
    return encodePacket(this.#names === null ? payload : this.#names.replace(payload))
  }

  /** Bytes of the report, the lines of the refused refs put in before its flush. */
  #mergeReport (bytes: Buffer): Buffer {
    const sent: Buffer[] = []
    this.#report.feed(bytes)
    for (let packet = this.#report.next(); packet !== null; packet = this.#report.next()) {
      if (packet.kind === 'data') {
        sent.push(this.#line(packet.payload))
        continue
      }
      if (packet.kind === 'flush') sent.push(...this.#refused.map(resultLine))
      // The header of one that is no packet is still in `partial`.
      sent.push(SPECIAL[packet.kind] ?? this.#report.partial, this.#report.rest)
      this.#inReport = false
      this.#raw = !this.#banded
      break
    }
    return Buffer.concat(sent)
  }
}
