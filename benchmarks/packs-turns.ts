import { balanced } from './machine.ts'
import { measureBareGit, measureDifferent, warmUpDifferent, type Sample } from './packs-measure.ts'
import type { Ours } from './packs-ours.ts'
import type { Contestant } from './packs-report.ts'
import type { DifferentScenario } from './packs-scenarios.ts'
import type { Peer } from './peers/peer.ts'

/** Ours as it is, ours without a cache, and git alone; the peers run all the time. */
export interface Entrants {
  ours: Ours
  root: string
  peers: Peer[]
  as: Record<'ours' | 'uncached' | 'bare', Contestant>
}

/**
 * One round of a scenario in which no request comes twice. A machine's speed drifts by more than the contestants differ, so that
 * each answers a few requests, then the next the same ones, in another order each turn.
 */
export async function takeTurns (scenario: DifferentScenario, round: number, { ours, root, peers, as }: Entrants, note: (contestant: Contestant, sample: Sample) => void): Promise<void> {
  const start = { options: 'default', warmUp: null } as const
  await ours.with(start, async (cached) => await ours.with({ ...start, options: 'uncached' }, async (uncached) => {
    const servers = new Map<Contestant, Peer>([[as.ours, cached], [as.uncached, uncached], ...peers.map((peer) => [peer, peer] as const)])
    for (const peer of servers.values()) await warmUpDifferent(peer, scenario, round)
    const contestants = [...servers.keys(), as.bare]
    for (let turn = 1; turn <= scenario.turns; turn++) {
      const number = (round - 1) * scenario.turns + turn
      for (const contestant of balanced(contestants, number)) {
        const peer = servers.get(contestant)
        note(contestant, peer === undefined ? await measureBareGit(root, scenario, number) : await measureDifferent(peer, scenario, number))
      }
    }
  }))
}
