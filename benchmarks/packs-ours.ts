import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { HttpRequest } from './discovery-workloads.ts'
import { warm } from './packs-measure.ts'
import type { DifferentScenario, Scenario } from './packs-scenarios.ts'
import { account, removeGroupOf } from './peers/cpu.ts'
import { findProgram, stopDaemon } from './peers/daemon.ts'
import type { Peer, Site } from './peers/peer.ts'
import { startOurs } from './peers/servers.ts'

export interface Start {
  /** Those of our server that differ from the defaults: none, a git that writes down what it starts, or no cache. */
  options: 'default' | 'traced' | 'uncached'
  /** Asked for before the measurement, until it is remembered. */
  warmUp: HttpRequest | null
}

/** How our server is started for a measurement. */
export function startFor (scenario: Exclude<Scenario, DifferentScenario>): Start {
  switch (scenario.kind) {
    case 'crowd': return { options: 'traced', warmUp: null }
    default: return { options: 'default', warmUp: scenario.request }
  }
}

/** Starts our server anew for each measurement, with a temporary folder of its own, so that it remembers nothing. */
export class Ours {
  readonly #site: Site
  readonly #trace: string
  readonly #git: string

  constructor (site: Site) {
    this.#site = site
    this.#trace = join(site.folder, 'trace')
    this.#git = join(site.folder, 'traced-git')
  }

  /** A git that writes down what it starts: our server gives git no environment of its own, so a script must. */
  async prepare (): Promise<void> {
    await writeFile(this.#trace, '')
    await writeFile(this.#git, `#!/bin/sh\nGIT_TRACE2_EVENT='${this.#trace}' exec '${await findProgram('git', 'git')}' "$@"\n`, { mode: 0o755 })
  }

  /** While `measure` runs, the server runs. */
  async with<T> ({ options, warmUp }: Start, measure: (peer: Peer) => Promise<T>): Promise<T> {
    const temporary = await mkdtemp(join(this.#site.folder, 'ours-'))
    const given = { default: {}, traced: { git: { path: this.#git } }, uncached: { cache: { packs: false } } }[options]
    const peer = await startOurs({ ...this.#site, env: { ...this.#site.env, TMPDIR: temporary } }, given)
    try {
      await account(peer)
      if (warmUp !== null) await warm(peer, warmUp)
      return await measure(peer)
    } finally {
      await stopDaemon(peer.pids[0] as number)
      await removeGroupOf(peer)
      await rm(temporary, { recursive: true, force: true })
    }
  }

  /** How many git pack-objects were started so far, by servers whose git is traced. */
  async packObjects (): Promise<number> {
    const events = (await readFile(this.#trace, 'utf8')).split('\n')
    return events.filter((event) => event.includes('"event":"start"') && event.includes('"pack-objects"')).length
  }
}
