import { Transform, type TransformCallback } from 'node:stream'
import type { PushCommand, PushHead } from '../protocol/push-head.ts'
import { ReportMerger, type RefusedRef, type Rephrase } from '../protocol/push-report-merger.ts'
import { progressMessage } from '../protocol/report-status.ts'
import { movedRefs, PushReportReader } from '../protocol/report-reader.ts'

export interface ReportStageOptions {
  /** Those that git got. */
  commands: readonly PushCommand[]
  /** Those that it did not. */
  refused: readonly RefusedRef[]
  /** For the client, as `remote:` lines. */
  messages: readonly string[]
  /** Why a ref was refused of which git only says that a hook declined it. */
  rephrase: Rephrase
}

/** Follows git's answer to a push: learns which refs moved, and says in git's place why others did not. */
export class ReportStage extends Transform {
  readonly #commands: readonly PushCommand[]
  readonly #reader: PushReportReader
  readonly #merger: ReportMerger
  /** What goes out before git's first byte. */
  #messages: Buffer[]

  constructor ({ capabilities }: PushHead, { commands, refused, messages, rephrase }: ReportStageOptions) {
    super()
    this.#commands = commands
    this.#reader = new PushReportReader(capabilities)
    this.#merger = new ReportMerger(refused, capabilities, rephrase)
    this.#messages = capabilities.includes('side-band-64k') ? messages.map(progressMessage) : []
  }

  /** The refs that moved, as far as git has said it. */
  get moved (): PushCommand[] {
    return movedRefs(this.#reader.report, this.#commands)
  }

  override _transform (chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    for (const message of this.#messages.splice(0)) this.push(message)
    this.#reader.update(chunk)
    callback(null, this.#merger.update(chunk))
  }

  override _flush (callback: TransformCallback): void {
    callback(null, this.#merger.end())
  }
}
