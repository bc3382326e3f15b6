import { BusyError, GitFailedError } from '../errors.ts'
import type { Captured } from '../git/capture.ts'
import type { GitProcess, StartOptions } from '../git/git-process.ts'
import { gitOptions, inheritedEnvironment } from '../git/environment.ts'
import type { Starter } from '../git/starter.ts'

/** Gits that run at once for pages: transfers need the machine more. */
const AT_ONCE = 4
/** Questions that wait for one. */
const MAX_WAITING = 1_000
/** git may not fetch what is missing, ask anybody or write: a page is only a look. */
const ENVIRONMENT = { GIT_OPTIONAL_LOCKS: '0', GIT_NO_LAZY_FETCH: '1', GIT_ALLOW_PROTOCOL: 'none', GIT_TERMINAL_PROMPT: '0' }

/** Asks git about repositories: small questions, a few at a time. */
export class GitQuestions implements Starter {
  readonly env: Record<string, string> = { ...inheritedEnvironment(), ...ENVIRONMENT }
  readonly #starter: Starter
  readonly #config: Record<string, string>
  readonly #waiting: Array<() => void> = []
  #running = 0

  /** `config` is passed to every git as `-c key=value`. */
  constructor (starter: Starter, config: Record<string, string>) {
    this.#starter = starter
    this.#config = config
  }

  /**
   * What git writes about a repository, at most `limit` bytes.
   *
   * @throws GitFailedError, GitUnavailableError; BusyError when too many wait.
   */
  async ask (directory: string, args: string[], limit: number): Promise<string> {
    const { code, stdout } = await this.capture([...gitOptions(directory, this.#config), `--git-dir=${directory}`, ...args], this.env, limit)
    if (code !== 0) throw new GitFailedError()
    return stdout
  }

  /** {@link Starter.capture}, in turn. */
  async capture (args: string[], env: Record<string, string>, limit: number): Promise<Captured> {
    if (this.#running < AT_ONCE) this.#running++
    else if (this.#waiting.length >= MAX_WAITING) throw new BusyError()
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await this.#starter.capture(args, env, limit)
    } finally {
      // Whoever waits takes over the place.
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }

  /** {@link Starter.start}; nothing here starts a git that runs for long. */
  async start (args: string[], env: Record<string, string>, options?: StartOptions): Promise<GitProcess> {
    return await this.#starter.start(args, env, options)
  }

  /** The starter is somebody else's. */
  async close (): Promise<void> {}
}
