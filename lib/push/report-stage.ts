import { Transform, type TransformCallback } from 'node:stream'
import type { PathNames } from '../protocol/path-names.ts'
import type { PushHead } from '../protocol/push-head.ts'
import { ReportMerger, type RefusedRef, type Rephrase } from '../protocol/push-report-merger.ts'
import { progressMessage } from '../protocol/report-status.ts'

export interface ReportStageOptions {
  /** The refs that git did not get. */
  refused: readonly RefusedRef[]
  /** For the client, as `remote:` lines. */
  messages: readonly string[]
  /** Why a ref was refused of which git only says that a hook declined it. */
  rephrase: Rephrase
  /** What stands in git's own messages for the path of the repository, which is nobody's business. */
  names: PathNames
}

/** What git's answer to a push goes through: says in git's place why refs did not move of which git knows nothing, or not the reason. */
export class ReportStage extends Transform {
  readonly #merger: ReportMerger
  /** What goes out before git's first byte. */
  #messages: Buffer[]

  constructor ({ capabilities }: PushHead, { refused, messages, rephrase, names }: ReportStageOptions) {
    super()
    this.#merger = new ReportMerger(refused, capabilities, rephrase, names)
    this.#messages = capabilities.includes('side-band-64k') ? messages.map(progressMessage) : []
  }

  override _transform (chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    for (const message of this.#messages.splice(0)) this.push(message)
    callback(null, this.#merger.update(chunk))
  }

  override _flush (callback: TransformCallback): void {
    callback(null, this.#merger.end())
  }
}
