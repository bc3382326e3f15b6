import { InvalidOptionError } from '../errors.ts'
import { capture, QUESTION, type Captured } from './capture.ts'
import { NICENESS } from './exit.ts'
import { unavailable, type GitProcess, type StartOptions } from './git-process.ts'
import { Helper } from './helper.ts'
import type { StartRequest } from './spawner-messages.ts'
import { createDirectStarter, type Starter, type StarterCounters } from './starter.ts'

/** Starts under way with one helper, which does them one after the other. The rest wait here, where the next free helper gets them. */
const AT_ONCE = 16
/** Longest wait for a helper, in milliseconds. */
const PATIENCE = 10_000
/** A helper that lived shorter than this did not work; milliseconds. */
const SHORT_LIFE = 5_000
/** Milliseconds before such a helper is replaced; doubled each time. */
const [FIRST_PAUSE, LONGEST_PAUSE] = [100, 30_000]

type Start = Omit<StartRequest, 'id'>

interface Waiting {
  request: Start
  timer: NodeJS.Timeout
  resolve (git: Promise<GitProcess>): void
  reject (error: Error): void
}

/** Where the spawner reports a helper that ended. */
export interface SpawnerLog {
  error (details: object, message: string): void
}

/**
 * The starter for `processes` helpers; without any, git is started directly.
 *
 * @throws InvalidOptionError when the helpers cannot be started.
 */
export async function openStarter (path: string, processes: number, log: SpawnerLog): Promise<Starter> {
  if (processes === 0) return createDirectStarter(path)
  const spawner = new Spawner(path, log)
  try {
    await spawner.open(processes)
  } catch (error) {
    await spawner.close()
    const message = `must be 0 here, helper processes do not start (${(error as Error).message})`
    throw Object.assign(new InvalidOptionError('spawner.processes', message), { cause: error })
  }
  return spawner
}

/** Starts git through helper processes, and replaces those that end. */
export class Spawner implements Starter {
  readonly #path: string
  readonly #log: SpawnerLog
  readonly #helpers = new Set<Helper>()
  readonly #waiting: Waiting[] = []
  readonly #opening = new Set<Promise<void>>()
  readonly #count = { restarts: 0, starts: 0 }
  #closed = false

  constructor (path: string, log: SpawnerLog) {
    this.#path = path
    this.#log = log
  }

  /** Starts the helpers. */
  async open (processes: number): Promise<void> {
    await Promise.all(Array.from({ length: processes }, async () => await this.#add(0)))
  }

  get counters (): StarterCounters {
    return { ...this.#count, helpers: this.#helpers.size, waiting: this.#waiting.length }
  }

  /** Process ids of the helpers that are ready. */
  get pids (): number[] {
    return [...this.#helpers].flatMap(({ pid }) => pid ?? [])
  }

  async start (args: string[], env: Record<string, string>, { input = true, niceness = NICENESS, write = false, hookFolder }: StartOptions = {}): Promise<GitProcess> {
    if (this.#closed) throw unavailable(new Error('the spawner is closed'))
    this.#count.starts++
    const request: Start = { path: this.#path, args, env, input, niceness, write, hookFolder }
    const helper = this.#free()
    if (helper !== undefined) return await helper.start(request)
    return await new Promise((resolve, reject) => {
      const waiting: Waiting = { request, resolve, reject, timer: setTimeout(() => this.#giveUp(waiting), PATIENCE) }
      this.#waiting.push(waiting)
    })
  }

  async capture (args: string[], env: Record<string, string>, limit: number): Promise<Captured> {
    return await capture(await this.start(args, env, QUESTION), limit)
  }

  async close (): Promise<void> {
    this.#closed = true
    for (const waiting of [...this.#waiting]) this.#giveUp(waiting)
    await Promise.allSettled(this.#opening)
    await Promise.all([...this.#helpers].map(async (helper) => await helper.close()))
    this.#helpers.clear()
  }

  /** The helper with the fewest starts under way, if it has room. */
  #free (): Helper | undefined {
    let best: Helper | undefined
    for (const helper of this.#helpers) if (helper.starting < (best?.starting ?? AT_ONCE)) best = helper
    return best
  }

  #next (): void {
    for (let helper = this.#free(); helper !== undefined && this.#waiting.length > 0; helper = this.#free()) {
      const { request, timer, resolve } = this.#waiting.shift() as Waiting
      clearTimeout(timer)
      resolve(helper.start(request))
    }
  }

  #giveUp (waiting: Waiting): void {
    clearTimeout(waiting.timer)
    this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
    waiting.reject(unavailable(new Error('no helper process is free')))
  }

  /** Starts a helper, and others after it when it ends. `failures`: how many before it did not live long. */
  async #add (failures: number): Promise<void> {
    let born = 0
    const opening = Helper.open({
      onRoom: () => this.#next(),
      onLost: (helper, reason) => {
        // Not ready yet: open() rejects.
        if (!this.#helpers.delete(helper) || this.#closed) return
        this.#count.restarts++
        this.#log.error({ err: reason }, 'a helper process that starts git ended; starting another')
        this.#addLater(performance.now() - born < SHORT_LIFE ? failures + 1 : 0)
      }
    }).then((helper) => {
      born = performance.now()
      this.#helpers.add(helper)
      this.#next()
    })
    this.#opening.add(opening)
    await opening.finally(() => this.#opening.delete(opening))
  }

  #addLater (failures: number): void {
    const pause = failures === 0 ? 0 : Math.min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
    setTimeout(() => {
      if (this.#closed) return
      this.#add(failures).catch((err) => {
        if (this.#closed) return
        this.#log.error({ err }, 'a helper process that starts git did not start; trying again')
        this.#addLater(failures + 1)
      })
    }, pause).unref()
  }
}
