/**
 * What does it cost to learn a repository's refs? `npm run bench:discovery -- [--rounds 5] [--seconds 5] [--only NAME]`
 *
 * fastify-git-http beside nginx, Apache and Node with git-http-backend, all on this machine, in one run, in turn. Every answer
 * is first compared with git's own. Writes results/discovery.json, unless --only leaves something out. Needs Linux, and wrk,
 * nginx, fcgiwrap and Apache: benchmarks/peers/install gets them on Debian.
 */
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { gitAnswer, verify } from './discovery-answer.ts'
import { Client } from './discovery-client.ts'
import { LoadGenerator } from './discovery-load.ts'
import * as measure from './discovery-measure.ts'
import { progress, summarize, table, type Measurement } from './discovery-report.ts'
import { makeRepositories } from './discovery-repositories.ts'
import { WORKLOADS, type Workload } from './discovery-workloads.ts'
import { writeResult } from './machine.ts'
import { account } from './peers/cpu.ts'
import { findProgram } from './peers/daemon.ts'
import { Absent, type Peer, type Site } from './peers/peer.ts'
import { fcgiWorkers, startApache, startNginxCgi, startNodeCgi, startOurs, startStatic, versionOf, type StaticAnswer } from './peers/servers.ts'
import { openSite } from './site.ts'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '5' }, only: { type: 'string' } } })
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)]
const workloads = WORKLOADS.filter(({ name }) => values.only === undefined || values.only.split(',').some((part) => name.includes(part)))
if (!(rounds >= 1 && seconds >= 1 && workloads.length > 0)) {
  throw new Error(`--rounds and --seconds are numbers from 1; --only is a part of one of these: ${WORKLOADS.map(({ name }) => name).join(', ')}`)
}

/** The static files that answer what ours and the CGI servers compute. */
async function staticAnswers (root: string): Promise<StaticAnswer[]> {
  const answers = new Map<string, StaticAnswer>()
  for (const workload of workloads) {
    if (workload.kind !== 'throughput' || workload.changing) continue
    const { method, path, headers, body } = workload.request
    const bytes = await gitAnswer(root, workload.request)
    const key = `${method} ${path} ${headers['Git-Protocol'] ?? ''} ${body?.length ?? ''}`
    answers.set(key, { key, bytes, gzip: bytes.length > 1024 ? gzipSync(bytes) : null })
  }
  return [...answers.values()]
}

/** Who can be asked what: a file never changes, and it cannot follow a conversation. */
function takesPart ({ role }: Peer, workload: Workload): boolean {
  return role !== 'ceiling' || (workload.kind === 'throughput' && !workload.changing)
}

async function main (site: Site): Promise<boolean> {
  const wrk = await findProgram('wrk', 'wrk')
  const { folder, root } = site
  console.log('making the repositories ...')
  const repositories = await makeRepositories(root)
  const peers = [await startOurs(site)]
  const absent: Record<string, string> = {}
  const answers = await staticAnswers(root)
  for (const [name, start] of Object.entries({ nginx: startNginxCgi, apache: startApache, node: startNodeCgi, static: async (site: Site) => await startStatic(site, answers) })) {
    try {
      peers.push(await start(site))
    } catch (error) {
      if (!(error instanceof Absent)) throw error
      absent[name] = error.message
      console.log(`left out: ${name}: ${error.message}`)
    }
  }
  for (const peer of peers) await account(peer)
  for (const { name, title, port } of peers) console.log(`${name.padEnd(7)} ${title}, port ${port}${name === 'ours' ? `, ${site.compiled.build}` : ''}`)

  console.log('comparing every answer with git\'s own ...')
  for (const workload of workloads) {
    if (workload.kind === 'client') continue
    for (const peer of peers.filter((peer) => takesPart(peer, workload))) {
      await verify(peer, { changing: false, ...workload }, root, repositories)
    }
  }
  const client = new Client(folder)
  if (workloads.some(({ kind }) => kind === 'client')) await client.prepare(peers.filter(({ role }) => role !== 'ceiling'))

  const means = { load: new LoadGenerator({ folder, root, wrk, repositories }), client, repositories, root, seconds }
  const measured = new Map(workloads.map((workload) => [workload, new Map<Peer, Measurement[]>()]))
  const note = (round: number, workload: Workload, peer: Peer, measurement: Measurement): void => {
    const all = measured.get(workload) as Map<Peer, Measurement[]>
    all.set(peer, [...all.get(peer) ?? [], measurement])
    console.log(progress(round, rounds, workload, peer, measurement))
  }
  for (let round = 1; round <= rounds; round++) {
    for (const workload of workloads) {
      const taking = peers.filter((peer) => takesPart(peer, workload))
      if (workload.kind === 'client') {
        for (const [peer, measurement] of await measure.client(taking, workload, means)) note(round, workload, peer, measurement)
        continue
      }
      for (const peer of taking) {
        note(round, workload, peer, workload.kind === 'latency'
          ? await measure.latency(peer, workload, round, means)
          : await measure.throughput(peer, workload, round === 1, means))
      }
    }
  }

  const summaries = workloads.map((workload) => summarize(workload, peers, measured.get(workload) as Map<Peer, Measurement[]>))
  console.log(`\n${table(summaries, peers)}`)
  const programs = { wrk: versionOf(wrk, ['-v']), nginx: versionOf('/usr/sbin/nginx', ['-v']), apache: versionOf('/usr/sbin/apache2', ['-v']) }
  if (values.only === undefined) {
    writeResult('discovery', {
      programs,
      peers: Object.fromEntries(peers.map(({ name, title, role }) => [name, { title, role }])),
      absent,
      settings: { rounds, secondsPerMeasurement: seconds, secondsOfLatency: 4 * seconds, fcgiwrapWorkers: fcgiWorkers(site.cores), wrkThreads: 1, ours: site.compiled.build },
      valid: summaries.every(({ valid }) => valid),
      workloads: summaries
    })
  }
  return summaries.every(({ valid }) => valid)
}

const { site, clear } = await openSite()
try {
  if (!await main(site)) process.exitCode = 1
} finally {
  await clear()
}
