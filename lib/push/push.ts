import type { FastifyRequest } from 'fastify'
import type { GitPush, GitPushCommand, PostReceive, PreReceive } from '../hooks.ts'
import type { GitOperation } from '../operation.ts'
import type { PushHead } from '../protocol/push-head.ts'
import type { RefusedRef } from '../protocol/push-report-merger.ts'
import type { HookCall, HookVerdict } from './hook-call.ts'

/** Characters of a reason or message that a hook gives. */
const MAX_TEXT = 4_096
/** Most messages that wait for the answer. */
const MAX_MESSAGES = 1_000
const REJECTED_WITH_OTHERS = 'another ref of the push was rejected'

/** What a push asks for, and what hooks have said of it. */
export class Push {
  readonly head: PushHead
  readonly commands: readonly GitPushCommand[]
  readonly messages: string[] = []
  readonly #operation: GitOperation
  readonly #request: FastifyRequest
  readonly #rejected = new Map<string, string>()
  #reason: string | null = null

  constructor (operation: GitOperation, request: FastifyRequest, head: PushHead, commands: readonly GitPushCommand[]) {
    this.#operation = operation
    this.#request = request
    this.head = head
    this.commands = commands
  }

  /** The refs that must not move, with what the pusher reads; all of them, unless `partial` lets the others go on. */
  rejected (partial: boolean): RefusedRef[] {
    const reason = this.#reason
    if (reason !== null) return this.commands.map(({ ref }) => ({ ref, reason: this.#rejected.get(ref) ?? reason }))
    if (this.#rejected.size === 0) return []
    // A signed push is one thing, and so is an atomic one.
    const whole = !partial || this.head.certificate !== null || this.head.capabilities.includes('atomic')
    return this.commands.flatMap(({ ref }) => {
      const own = this.#rejected.get(ref) ?? (whole ? REJECTED_WITH_OTHERS : undefined)
      return own === undefined ? [] : [{ ref, reason: own }]
    })
  }

  reject (ref: string, reason: string): void {
    if (!this.commands.some((command) => command.ref === ref)) throw new TypeError(`the push has no ref ${JSON.stringify(ref)}`)
    if (!this.#rejected.has(ref)) this.#rejected.set(ref, cleanText(reason))
  }

  rejectAll (reason: string): void {
    this.#reason ??= cleanText(reason)
  }

  /** What onPush gets. */
  view (signal: AbortSignal): GitPush {
    return {
      ...this.#common(),
      signal,
      reject: (ref, reason) => this.reject(ref, reason),
      rejectAll: (reason) => this.rejectAll(reason),
      message: (text) => { if (this.messages.length < MAX_MESSAGES) this.messages.push(cleanText(text)) }
    }
  }

  /** What preReceive gets. */
  preReceive ({ environment, signal, git, message }: HookCall): PreReceive {
    return { ...this.view(signal), environment, git, message }
  }

  /** What postReceive gets. */
  postReceive ({ commands, environment, signal, git, message }: HookCall): PostReceive {
    const moved = new Map(this.commands.map((command) => [command.ref, command]))
    return {
      ...this.#common(),
      // proc-receive may have made other refs of those that were pushed.
      commands: commands.map((command) => moved.get(command.ref) ?? { ...command, kind: kindOf(command), touches: [command.ref] }),
      environment,
      signal,
      git,
      message
    }
  }

  /** What has been rejected so far, as the hook point wants it. */
  verdict (partial: boolean): HookVerdict {
    return { ok: true, rejected: new Map(this.rejected(partial).map(({ ref, reason }) => [ref, reason])) }
  }

  #common (): Pick<GitPush, 'operation' | 'request' | 'commands' | 'options' | 'certificate' | 'capabilities' | 'agent'> {
    const { options, certificate, capabilities, agent } = this.head
    return { operation: this.#operation, request: this.#request, commands: this.commands, options, certificate, capabilities, agent }
  }
}

function cleanText (text: string): string {
  return String(text).slice(0, MAX_TEXT)
}

function kindOf ({ old, new: to }: { old: string, new: string }): GitPushCommand['kind'] {
  if (/^0+$/.test(old)) return 'create'
  return /^0+$/.test(to) ? 'delete' : 'update'
}
