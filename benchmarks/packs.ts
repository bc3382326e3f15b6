/**
 * What does a fetch cost that somebody has asked for before? `npm run bench:packs -- [--rounds 3] [--seconds 5] [--only NAME,...]`
 *
 * fastify-git-http beside nginx, Apache and Node with git-http-backend, and nginx with the same bytes as files, all on this
 * machine, in one run, in turn. Every answer is first indexed and compared with git's own. Writes results/packs.json, unless
 * --only leaves something out. Needs Linux, and wrk, nginx, fcgiwrap and Apache: benchmarks/peers/install gets them on Debian.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { LoadGenerator } from './discovery-load.ts'
import { balanced, writeResult } from './machine.ts'
import { contentOfFile, validate, writeGitAnswer, type Content } from './packs-answer.ts'
import { measure, type Means, type Sample } from './packs-measure.ts'
import { Ours, startFor } from './packs-ours.ts'
import { details, progress, summarize, table, type Contestant, type Measured } from './packs-report.ts'
import { makeRepositories, ROOT } from './packs-repositories.ts'
import { NAMES, scenarios as allScenarios, type Scenario } from './packs-scenarios.ts'
import { takeTurns } from './packs-turns.ts'
import { account } from './peers/cpu.ts'
import { findProgram } from './peers/daemon.ts'
import { Absent, type Peer, type Site } from './peers/peer.ts'
import { fcgiWorkers, startApache, startNginxCgi, startNodeCgi, startStatic, versionOf, type StaticAnswer } from './peers/servers.ts'
import { openSite } from './site.ts'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' }, seconds: { type: 'string', default: '5' }, only: { type: 'string' } } })
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)]
const only = values.only?.split(',')
if (!(rounds >= 1 && seconds >= 1 && (only === undefined || only.every((name) => NAMES.includes(name))))) {
  throw new Error(`--rounds and --seconds are numbers from 1; --only names some of these: ${NAMES.join(', ')}`)
}

const OURS: Contestant = { name: 'ours', title: 'fastify-git-http', role: 'ours' }
const UNCACHED: Contestant = { name: 'uncached', title: 'fastify-git-http with cache.packs: false', role: 'ours' }
const BARE: Contestant = { name: 'pipe', title: 'git upload-pack over pipes, no server', role: 'ceiling' }

/** Our server is started for each measurement; these run all the time. */
async function startPeers (site: Site, answers: StaticAnswer[]): Promise<{ peers: Peer[], absent: Record<string, string> }> {
  const peers: Peer[] = []
  const absent: Record<string, string> = {}
  const ways = { nginx: startNginxCgi, apache: startApache, node: startNodeCgi, static: async (site: Site) => await startStatic(site, answers) }
  for (const [name, start] of Object.entries(ways)) {
    try {
      const peer = await start(site)
      await account(peer)
      peers.push(peer)
    } catch (error) {
      if (!(error instanceof Absent)) throw error
      absent[name] = error.message
      console.log(`left out: ${name}: ${error.message}`)
    }
  }
  return { peers, absent }
}

/** Static files for the requests that come again and again, and what each of git's answers holds. */
async function gitAnswers (site: Site, scenarios: Scenario[]): Promise<{ files: StaticAnswer[], contents: Map<string, Content> }> {
  const files = new Map<string, StaticAnswer>()
  const contents = new Map<string, Content>()
  for (const scenario of scenarios) {
    if (scenario.kind === 'different' || contents.has(keyOf(scenario))) continue
    const path = join(site.folder, `answer-${contents.size}`)
    await writeGitAnswer(site.root, scenario.request, path)
    contents.set(keyOf(scenario), await contentOfFile(path))
    const key = keyOf(scenario)
    files.set(key, { key, bytes: path, gzip: null })
  }
  return { files: [...files.values()], contents }
}

/** As in nginx-static.conf. */
function keyOf (scenario: Exclude<Scenario, { kind: 'different' }>): string {
  const { path, headers, body } = scenario.request
  return `POST ${path} ${headers['Git-Protocol']} ${body?.length}`
}

/** A file answers one request; only ours promises anything to slow readers; a crowd keeps a peer busy for a minute. */
function takesPart ({ role }: Peer, { kind }: Scenario, round: number): boolean {
  if (role === 'ceiling') return kind === 'rate' || kind === 'stream'
  return kind !== 'slow' && (kind !== 'crowd' || round === 1)
}

async function main (scenarios: Scenario[], site: Site): Promise<boolean> {
  const wrk = await findProgram('wrk', 'wrk')
  console.log('asking git ...')
  const { files, contents } = await gitAnswers(site, scenarios)
  const { peers, absent } = await startPeers(site, files)
  const ours = new Ours(site)
  await ours.prepare()

  console.log('indexing everybody\'s answers ...')
  const validated = new Set<string>()
  for (const scenario of scenarios) {
    if (scenario.kind === 'different' || validated.has(keyOf(scenario))) continue
    validated.add(keyOf(scenario))
    const expected = contents.get(keyOf(scenario)) as Content
    for (const peer of peers) if (takesPart(peer, scenario, 1)) await validate(peer, scenario.request, expected)
    // The first, the one that is kept, and one from the cache.
    await ours.with({ options: 'default', warmUp: null }, async (peer) => {
      for (let n = 0; n < 3; n++) await validate(peer, scenario.request, expected)
    })
  }

  const means: Means = {
    load: new LoadGenerator({ folder: site.folder, root: site.root, wrk, repositories: { changing: [], middle: [] } }),
    seconds,
    packObjects: async () => await ours.packObjects(),
    packBytes: (scenario) => scenario.kind === 'different' ? 0 : (contents.get(keyOf(scenario)) as Content).packBytes
  }
  const measured = new Map<Scenario, Measured>(scenarios.map((scenario) => [scenario, new Map()]))
  const noteIn = (round: number, scenario: Scenario) => (contestant: Contestant, sample: Sample): void => {
    const all = measured.get(scenario) as Measured
    all.set(contestant, [...all.get(contestant) ?? [], sample])
    console.log(progress(round, rounds, scenario, contestant, sample))
  }
  for (let round = 1; round <= rounds; round++) {
    for (const scenario of scenarios) {
      const note = noteIn(round, scenario)
      const taking = peers.filter((peer) => takesPart(peer, scenario, round))
      if (scenario.kind === 'different') {
        await takeTurns(scenario, round, { ours, root: site.root, peers: taking, as: { ours: OURS, uncached: UNCACHED, bare: BARE } }, note)
        continue
      }
      for (const contestant of balanced([null, ...taking], round - 1)) {
        if (contestant !== null) note(contestant, await measure(contestant, scenario, means))
        else note(OURS, await ours.with(startFor(scenario), async (peer) => await measure(peer, scenario, means)))
      }
    }
  }

  const contestants = [OURS, ...peers, BARE, UNCACHED].filter((contestant) => [...measured.values()].some((each) => each.has(contestant)))
  const figures = [...measured].flatMap(([scenario, each]) => summarize(scenario, each))
  console.log(`\n${table(figures, contestants.map(({ name }) => name))}`)
  const valid = figures.every(({ valid }) => valid)
  if (only === undefined) {
    writeResult('packs', {
      programs: { wrk: versionOf(wrk, ['-v']), nginx: versionOf('/usr/sbin/nginx', ['-v']), apache: versionOf('/usr/sbin/apache2', ['-v']) },
      peers: Object.fromEntries(contestants.map(({ name, title, role }) => [name, { title, role }])),
      absent,
      settings: { rounds, secondsPerMeasurement: seconds, fcgiwrapWorkers: fcgiWorkers(site.cores), wrkThreads: 1, crowdRoundsOfPeers: 1, ours: site.compiled.build },
      answers: Object.fromEntries(scenarios.flatMap((scenario) => scenario.kind === 'different' ? [] : [[scenario.name, contents.get(keyOf(scenario))]])),
      valid,
      figures,
      details: Object.fromEntries(Array.from(measured, ([{ name }, each]) => [name, details(each)]))
    })
  }
  return valid
}

const repositories = await makeRepositories()
for (const { name, objects, packBytes } of Object.values(repositories)) console.log(`${name}: ${objects.toLocaleString('en')} objects, ${Math.round(packBytes / 1e6)} MB`)
const { site, clear } = await openSite(ROOT)
try {
  if (!await main(allScenarios(repositories).filter(({ name }) => only?.includes(name) ?? true), site)) process.exitCode = 1
} finally {
  await clear()
}
