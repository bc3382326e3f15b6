import type { GitProcess } from '../git/git-process.ts'
import { endGroup } from '../git/process-group.ts'
import type { GitDirectory } from '../repository/git-directory.ts'
import { callHook, HookTimeout, type HookCall, type HookVerdict } from './hook-call.ts'
import { endHook } from './hook-deadline.ts'
import type { HookFolder, PushHooks } from './hook-folder.ts'
import type { StartHere } from './hook-git.ts'
import type { OwnHooks } from './hook-own.ts'
import { HookRecords, type HookCommand, type HookRecord, type ReceiveRecord } from './hook-records.ts'
import { OWN_HOOKS } from './shim.ts'

/** Bytes of messages that may wait for a client that does not read them. What comes on top is dropped. */
const MAX_WAITING = 1024 * 1024
const [TIMED_OUT, FAILED] = ['hook timed out', 'hook failed'] as const
const OVER = new Error('the push is over')
const OTHERS_REJECTED = 'another ref of the push was rejected'

export interface HookPointOptions {
  folder: HookFolder
  repository: GitDirectory
  own: OwnHooks
  /** Milliseconds that each hook may take, those of the repository included. */
  deadline: number
  start: StartHere
  preReceive?: ((call: HookCall) => HookVerdict | Promise<HookVerdict>) | undefined
  postReceive?: ((call: HookCall) => unknown) | undefined
  /** What git has reported to have moved: for postReceive, when git ended before it got to its hook. */
  moved?: () => HookCommand[]
  /** A hook threw this, or a hook was ended at its deadline. */
  onError (error: Error, hook: string): void
}

/** The hooks of one push. */
export interface HookPoint {
  /** git's options before `receive-pack`. */
  readonly args: string[]
  /** Belongs into git's environment. */
  readonly env: Record<string, string>
  /** For {@link StartOptions.hookFolder}. */
  readonly hookFolder: string
  /** Why refs were refused, for the report-status: git itself only says `hook declined`. Those without an entry have {@link reason}. */
  readonly reasons: ReadonlyMap<string, string>
  /** Why pre-receive refused the whole push; null when it did not. */
  readonly reason: string | null
  /** Whether git got as far as pre-receive. A push that succeeded without is a fault of the server. */
  readonly reached: boolean
  /** Takes over git's channel. To be called in the turn in which git was started. */
  attach (git: GitProcess): void
  /**
   * Aborts preReceive, and frees everything once git and postReceive have ended: what has moved is told, even when nobody is left who
   * pushed it. It does not end git: whoever started it does, at the same time.
   */
  close (): Promise<void>
  /** Aborts postReceive as well. */
  abandon (): void
}

/**
 * Opens git's hook points for one push. The order: preReceive, then the repository's own pre-receive if it was accepted; for each
 * ref the repository's own update, if preReceive did not reject it; the repository's own post-receive, then postReceive.
 *
 * @throws InternalError when git would not run hooks from here.
 */
export async function openHookPoint (options: HookPointOptions): Promise<HookPoint> {
  const names = new Set(options.own.names)
  if (options.preReceive !== undefined) names.add('pre-receive')
  if (options.postReceive !== undefined) names.add('post-receive')
  return new Point(options, await options.folder.forPush([...names]))
}

class Point implements HookPoint {
  readonly args: string[]
  readonly env: Record<string, string>
  readonly hookFolder: string
  readonly reasons: Map<string, string> = new Map()
  reason: string | null = null
  reached: boolean = false
  readonly #options: HookPointOptions
  readonly #hooks: PushHooks
  readonly #records = new HookRecords()
  readonly #over = new AbortController()
  readonly #abandoned = new AbortController()
  /** Processes of hooks that are being ended. */
  readonly #ending = new Set<Promise<void>>()
  #git: GitProcess | undefined
  /** The ref whose update hook was asked last. */
  #updating: string | undefined
  #timer: NodeJS.Timeout | undefined
  #posting: Promise<void> | undefined
  /** GIT_PUSH_*: what git tells its hooks of the push itself. */
  readonly #environment: Record<string, string> = {}
  #closing: Promise<void> | undefined

  constructor (options: HookPointOptions, hooks: PushHooks) {
    this.#options = options
    this.#hooks = hooks
    this.hookFolder = options.folder.path
    this.args = ['-c', `core.hooksPath=${hooks.path}`]
    this.env = { [OWN_HOOKS]: options.own.folder }
  }

  attach (git: GitProcess): void {
    const { channel } = git
    if (channel === undefined) throw new TypeError('git was started without a hookFolder')
    this.#git = git
    channel.on('data', (chunk: Buffer) => {
      try {
        for (const record of this.#records.push(chunk)) this.#hear(record)
      } catch (error) {
        this.#options.onError(error as Error, 'channel')
        channel.destroy()
      }
    })
    git.exited.then(() => this.#end())
  }

  async close (): Promise<void> {
    await (this.#closing ??= this.#free())
  }

  abandon (): void {
    this.#abandoned.abort(new Error('the server shuts down'))
  }

  #hear (record: HookRecord): void {
    if (record.hook === 'pre-receive') {
      this.reached = true
      this.#preReceive(record)
    } else if (record.hook === 'post-receive') {
      this.#posting = this.#postReceive(record)
    } else if (record.hook === 'update') {
      this.#updating = record.ref
      this.#answer(!this.reasons.has(record.ref))
    } else {
      clearTimeout(this.#timer)
      if (record.hook === 'begin') this.#timer = setTimeout(() => this.#endOwn(record.name, record.pid), this.#options.deadline)
    }
  }

  async #preReceive (record: ReceiveRecord): Promise<void> {
    const { preReceive, onError } = this.#options
    for (const [name, value] of Object.entries(record.environment)) if (name.startsWith('GIT_PUSH_')) this.#environment[name] = value
    try {
      this.#over.signal.throwIfAborted()
      const verdict = preReceive === undefined ? { ok: true as const } : await this.#call(record, preReceive, this.#over.signal)
      this.#answer(await this.#accepts(verdict, record))
    } catch (error) {
      this.reason = error instanceof HookTimeout ? TIMED_OUT : FAILED
      this.#answer(false)
      if (!this.#over.signal.aborted) onError(error as Error, record.hook)
    }
  }

  /** Nothing that happens here fails the push. */
  async #postReceive (record: ReceiveRecord): Promise<void> {
    const { postReceive, onError } = this.#options
    try {
      if (postReceive !== undefined) await this.#call(record, postReceive, this.#abandoned.signal)
    } catch (error) {
      if (!this.#abandoned.signal.aborted) onError(error as Error, record.hook)
    }
    this.#answer(true)
  }

  async #call<Result> ({ hook, commands, environment }: ReceiveRecord, handler: (call: HookCall) => Result | Promise<Result>, push: AbortSignal): Promise<Result> {
    const { deadline, start, repository } = this.#options
    return await callHook(hook, handler, {
      commands,
      // receive-pack runs hooks with GIT_DIR=. in its own directory; a git of ours runs elsewhere.
      environment: { ...environment, GIT_DIR: repository.directory },
      deadline,
      start,
      push,
      say: (text) => this.#say(text),
      keep: (ending) => this.#keep(ending)
    })
  }

  /** Whether pre-receive lets the push go on. */
  async #accepts (verdict: HookVerdict, { commands }: ReceiveRecord): Promise<boolean> {
    if (!verdict.ok) {
      this.reason = verdict.reason
      return false
    }
    const { rejected = new Map<string, string>() } = verdict
    for (const [ref, reason] of rejected) this.reasons.set(ref, reason)
    if (commands.every(({ ref }) => rejected.has(ref))) return false
    if (rejected.size === 0) return true
    const own = this.#options.own.names
    // Refs that go to proc-receive never meet update (builtin/receive-pack.c, execute_commands).
    if (own.includes('proc-receive')) {
      this.reason = OTHERS_REJECTED
      return false
    }
    // pre-receive is all or nothing. update is asked for each ref (githooks(5)); git looks for it only after this answer.
    if (!own.includes('update')) await this.#hooks.add('update')
    return true
  }

  /** A hook of the repository takes too long. */
  #endOwn (name: string, shim: number): void {
    const { pid } = this.#git as GitProcess
    if (name === 'pre-receive') this.reason = TIMED_OUT
    if (name === 'update' && this.#updating !== undefined) this.reasons.set(this.#updating, TIMED_OUT)
    this.#options.onError(new Error(`the repository's own ${name}: ${TIMED_OUT}`), name)
    this.#keep(endHook(pid, shim))
  }

  #keep (ending: Promise<void>): void {
    this.#ending.add(ending)
    ending.then(() => this.#ending.delete(ending))
  }

  #say (text: string): void {
    if ((this.#git?.channel?.writableLength ?? 0) > MAX_WAITING) return
    // A shell's variables hold no NUL.
    for (const line of text.replace(/\n$/, '').replaceAll('\0', '').split('\n')) this.#write(`m${line}\n`)
  }

  #answer (accepted: boolean): void {
    this.#write(accepted ? 'y\n' : 'n\n')
  }

  #write (line: string): void {
    if (this.#git?.channel?.writable === true) this.#git.channel.write(line)
  }

  /** git has ended: nobody waits for an answer any more. */
  #end (): void {
    clearTimeout(this.#timer)
    this.#over.abort(OVER)
    this.#git?.channel?.destroy()
  }

  async #free (): Promise<void> {
    // The channel stays for as long as git does: past pre-receive refs move, and its hooks ask on.
    this.#over.abort(OVER)
    const [git, exit] = [this.#git, await this.#git?.exited]
    // Who watched it is gone, and it may run on.
    if (git !== undefined && exit?.error !== undefined) await endGroup(git.pid)
    this.#end()
    const { moved = () => [] } = this.#options
    if (this.#posting === undefined && moved().length > 0) await this.#postReceive({ hook: 'post-receive', environment: this.#environment, commands: moved() })
    await this.#posting
    while (this.#ending.size > 0) await Promise.all(this.#ending)
    await this.#hooks.remove()
  }
}
