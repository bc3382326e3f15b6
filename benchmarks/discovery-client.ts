import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { GIT_ENVIRONMENT, git } from './discovery-repositories.ts'
import type { ClientWorkload } from './discovery-workloads.ts'
import { track } from './peers/daemon.ts'
import type { Peer } from './peers/peer.ts'

/** The real client, one run after the other; each peer has a clone of its own, so that all clones are of one size. */
export class Client {
  readonly #folder: string

  constructor (folder: string) {
    this.#folder = folder
  }

  async prepare (peers: Peer[]): Promise<void> {
    const refs: string[] = []
    for (const peer of peers) {
      await git(['clone', '--quiet', '--bare', url(peer), this.#clone(peer)])
      await git(['-C', this.#clone(peer), 'config', 'remote.origin.fetch', '+refs/heads/*:refs/heads/*'])
      refs.push(await git(['-C', this.#clone(peer), 'for-each-ref']))
    }
    if (new Set(refs).size !== 1) throw new Error('the clones differ')
  }

  /** Wall time in milliseconds of a run with each peer in turn, `runs` times. */
  async run (peers: Peer[], { command, runs }: ClientWorkload): Promise<Map<Peer, number[]>> {
    const times = new Map(peers.map((peer) => [peer, [] as number[]]))
    for (let run = 0; run < runs; run++) {
      // The one that comes first changes, so that none always runs after the same other.
      for (let index = 0; index < peers.length; index++) {
        const peer = peers[(index + run) % peers.length] as Peer
        times.get(peer)?.push(await this.#time(peer, command))
      }
    }
    return times
  }

  async #time (peer: Peer, command: ClientWorkload['command']): Promise<number> {
    const args = command === 'fetch' ? ['-C', this.#clone(peer), 'fetch', '--quiet', 'origin'] : ['ls-remote', '--quiet', url(peer)]
    const started = process.hrtime.bigint()
    const child = spawn('git', args, { env: GIT_ENVIRONMENT, stdio: ['ignore', 'ignore', 'inherit'] })
    track(child)
    const [code] = await once(child, 'exit') as [number | null]
    const elapsed = Number(process.hrtime.bigint() - started) / 1e6
    if (code !== 0) throw new Error(`${peer.name}: git ${command}: exit code ${code}`)
    return elapsed
  }

  #clone (peer: Peer): string {
    return join(this.#folder, `clone-${peer.name}`)
  }
}

function url ({ port }: Peer): string {
  return `http://127.0.0.1:${port}/refs1000.git`
}
