/**
 * One server, and everything that may happen to it, for a chosen time: `npm run soak -- --minutes 5`. Clones, pushes, aborts, kills of
 * helpers and gits, changes of configs, repacks. At the end it must be as it was: descriptors, processes, memory (32 MiB), temporary
 * files; every pushed commit is there and every clone passed fsck. Exit code 1 otherwise.
 */
import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { helpersOf } from '../fixtures/helpers.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { commitRandom, makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServerProcess } from '../fixtures/server-process.ts'
import { Random } from '../fuzz/random.ts'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string', default: String(Date.now() % 2 ** 31) } } })
const MIB = 2 ** 20
const WORKERS = 4
const NAMES = ['a.git', 'b.git', 'c.git']
const folder = await mkdtemp(join(tmpdir(), 'fastify-git-http-soak-'))
const root = join(folder, 'root')
const count = { clones: 0, pushes: 0, failed: 0, aborts: 0, kills: 0, changes: 0, repacks: 0 }
const problems: string[] = []
/** Refs that a client saw move, and where to. */
const pushed = new Map<string, { name: string, ref: string, id: string }>()

try {
  for (const name of NAMES) await makeRepository(root, name, { commits: 50 })
  const server = await startServerProcess({ root, publicWrite: true, limits: { idleTimeout: 5_000 }, cache: { packs: { directory: join(folder, 'packs'), maxAge: 2_000 } } })
  try {
    const works = await Promise.all(Array.from({ length: WORKERS }, async (_, i) => await makeWorkingCopy(folder, `work-${i}`)))
    const act = async (worker: number, random: Random, mayFail: boolean): Promise<void> => {
      const name = random.pick(NAMES)
      const [url, work, served] = [`${server.url}/${name}`, works[worker] as string, join(root, name)]
      switch (random.below(mayFail ? 10 : 4)) {
        case 0: case 1: {
          const into = join(folder, `clone-${worker}`)
          const { code } = await tryGit(['clone', '--quiet', '--bare', ...random.pick([[], ['--depth=1'], ['--single-branch']]), url, into])
          if (code === 0) {
            count.clones++
            const { code, stderr } = await tryGit(['fsck', '--full'], { cwd: into })
            if (code !== 0) problems.push(`a clone is broken: ${stderr}`)
          } else count.failed++
          await rm(into, { recursive: true, force: true, maxRetries: 3 })
          break
        }
        case 2: case 3: {
          const id = await commitRandom(work, 'file', random.below(10) === 0 ? 3_000_000 : 5_000)
          const ref = `refs/heads/w${worker}-${random.below(5)}`
          const { code } = await tryGit(['push', '--quiet', '--force', url, `${id}:${ref}`], { cwd: work })
          // A push whose client was not told may have succeeded all the same.
          if (code === 0) pushed.set(`${name} ${ref}`, { name, ref, id })
          else pushed.delete(`${name} ${ref}`)
          count[code === 0 ? 'pushes' : 'failed']++
          break
        }
        case 4: case 5: case 6:
          await abort(server.port, name, await git(['rev-parse', 'main'], { cwd: served }), random)
          count.aborts++
          break
        case 7: {
          const victims = random.below(4) === 0
            ? await helpersOf(server.pid)
            : (await processesAbout(served)).filter((line) => line.includes('-pack')).map((line) => Number.parseInt(line))
          if (victims.length === 0) break
          try { process.kill(random.pick(victims), 'SIGKILL') } catch {}
          count.kills++
          break
        }
        case 8:
          await tryGit(['config', 'uploadpack.allowFilter', random.pick(['true', 'false'])], { cwd: served })
          count.changes++
          break
        default:
          await tryGit(random.pick([['repack', '-adq'], ['pack-refs', '--all'], ['gc', '--quiet']]), { cwd: served })
          count.repacks++
      }
    }
    const work = async (seconds: number, mayFail: boolean): Promise<void> => {
      const end = Date.now() + seconds * 1000
      await Promise.all(works.map(async (_, worker) => {
        const random = new Random(Number(values.seed) + worker)
        while (Date.now() < end && server.child.exitCode === null) await act(worker, random, mayFail)
      }))
    }
    const look = async (): Promise<{ rss: number, listeners: number, descriptors: number, processes: number }> => {
      await eventually(async () => (await server.look()).active === 0, 20_000, 'operations end')
      // Until the cache has forgotten what it holds.
      await delay(4_000)
      const { rss, listeners } = await server.look()
      const processes = (await processesAbout(root)).filter((line) => Number.parseInt(line) !== server.pid)
      if (processes.length > 0) problems.push(`processes are left: ${processes.join('; ')}`)
      return { rss, listeners, descriptors: await server.descriptors(), processes: (await helpersOf(server.pid)).length }
    }
    await work(Math.min(20, Number(values.minutes) * 20), true)
    const before = await look()
    await work(Number(values.minutes) * 60, true)
    const after = await look()
    console.log(`seed ${values.seed}: ${JSON.stringify(count)}`)
    for (const [what, from, to] of [['descriptors', before.descriptors, after.descriptors], ['listeners', before.listeners, after.listeners], ['helpers', before.processes, after.processes]] as const) {
      console.log(`${what}: ${from} before, ${to} after`)
      if (to > from) problems.push(`more ${what}`)
    }
    console.log(`memory: ${Math.round((after.rss - before.rss) / MIB)} MiB more`)
    if (after.rss - before.rss > 32 * MIB) problems.push('memory')
    for (const { name, ref, id } of pushed.values()) {
      const { stdout } = await tryGit(['rev-parse', ref], { cwd: join(root, name) })
      if (stdout.trim() !== id) problems.push(`${name} ${ref} is not where a push left it`)
    }
    console.log(`${pushed.size} pushed refs are there`)
    for (const name of NAMES) {
      const { code, stderr } = await tryGit(['fsck', '--full'], { cwd: join(root, name) })
      if (code !== 0) problems.push(`${name}: ${stderr}`)
      const left = await leftIn(name)
      if (left.some((file) => file.endsWith('.lock'))) problems.push(`${name}: left ${left.join(', ')}`)
      for (const file of left) await utimes(join(root, name, file), 0, 0)
    }
  } finally {
    await Promise.race([server.close().catch(() => {}), delay(10_000)])
    await server.killAll(root)
  }
  // A receive-pack that is killed from outside leaves its quarantine; an hour later, as it seems, the next server removes it.
  const next = await startServerProcess({ root, publicWrite: true })
  for (const name of NAMES) {
    await tryGit(['push', '--quiet', `${next.url}/${name}`, 'HEAD:refs/heads/last'], { cwd: join(folder, 'work-0') })
    const left = await leftIn(name)
    if (left.length > 0) problems.push(`${name}: left ${left.slice(0, 3).join(', ')}`)
  }
  await next.close()
} finally {
  await rm(folder, { recursive: true, force: true, maxRetries: 3 })
}
for (const problem of problems) console.log(`PROBLEM: ${problem}`)
console.log(problems.length === 0 ? 'as it was' : `${problems.length} problems`)
process.exit(problems.length === 0 ? 0 : 1)

async function leftIn (name: string): Promise<string[]> {
  return (await readdir(join(root, name), { recursive: true })).filter((file) => /tmp_objdir|incoming-|\.lock$/.test(file))
}

/** A fetch or a push that is left at any time. */
async function abort (port: number, name: string, tip: string, random: Random): Promise<void> {
  const line = `${'0'.repeat(40)} ${tip} refs/heads/aborted\0 report-status`
  const [service, body] = random.below(2) === 0
    ? ['upload-pack', fetchV2({ wants: [tip], haves: [random.below(2 ** 31).toString(16).padStart(40, '0')] })]
    : ['receive-pack', Buffer.from(`${(line.length + 4).toString(16).padStart(4, '0')}${line}0000PACK`)]
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(`POST /${name}/git-${service} HTTP/1.1\r\nHost: localhost\r\nGit-Protocol: version=2\r\nContent-Type: application/x-git-${service}-request\r\nTransfer-Encoding: chunked\r\n\r\n`)
  const part = body.subarray(0, 1 + random.below(body.length))
  socket.write(`${part.length.toString(16)}\r\n${part.toString('latin1')}\r\n`)
  await delay(random.below(60))
  if (random.below(2) === 0) socket.destroy()
  else socket.resetAndDestroy()
}
