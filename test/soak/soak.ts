/**
 * One server, and everything that may happen to it, for a chosen time: `npm run soak -- --minutes 5`. Clones, pushes, aborts, kills of
 * clients, helpers and gits, changes of configs, repacks. At the end it must be as it was: descriptors, processes, memory (32 MiB),
 * temporary files; every pushed commit is there and every clone passed fsck. Exit code 1 otherwise.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { git, gitEnvironment, tryGit } from '../fixtures/git.ts'
import { helpersOf } from '../fixtures/helpers.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { commitRandom, makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServerProcess } from '../fixtures/server-process.ts'
import { settled } from '../fixtures/settled.ts'
import { Random } from '../fuzz/random.ts'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string', default: String(Date.now() % 2 ** 31) } } })
const MIB = 2 ** 20
const WORKERS = 4
const NAMES = ['a.git', 'b.git', 'c.git']
const folder = await mkdtemp(join(tmpdir(), 'fastify-git-http-soak-'))
const root = join(folder, 'root')
const count = { clones: 0, pushes: 0, failed: 0, aborts: 0, left: 0, kills: 0, changes: 0, repacks: 0 }
const problems: string[] = []
/** Refs that a client saw move, and where they may be since: a push that failed for its client may have succeeded all the same. */
const pushed = new Map<string, { name: string, ref: string, ids: string[] }>()
/** What may be changed while requests are under way, and what it is changed to. */
const CHANGES: ReadonlyArray<readonly [string, readonly string[]]> = [
  ['uploadpack.allowFilter', ['true', 'false']],
  ['uploadpack.hideRefs', ['refs/heads/w0-0', 'refs/hidden']],
  ['receive.unpackLimit', ['1', '100']],
  ['receive.fsckObjects', ['true', 'false']],
  // Refused to those who are nobody.
  ['http.receivepack', ['true', 'true', 'true', 'false']],
  ['gc.auto', ['0', '50']]
]
// So that what the server and its gits leave there is seen.
const temporary = join(folder, 'temporary')
process.env['TMPDIR'] = temporary
await mkdir(temporary)

try {
  for (const name of NAMES) await makeRepository(root, name, { commits: 50 })
  const server = await startServerProcess({ root, publicWrite: true, limits: { idleTimeout: 5_000 }, cache: { packs: { directory: join(folder, 'packs'), maxAge: 2_000 } } })
  try {
    const works = await Promise.all(Array.from({ length: WORKERS }, async (_, i) => await makeWorkingCopy(folder, `work-${i}`)))
    const act = async (worker: number, random: Random): Promise<void> => {
      const name = random.pick(NAMES)
      const [url, work, served] = [`${server.url}/${name}`, works[worker] as string, join(root, name)]
      const push = async (size: number, patience?: number): Promise<void> => {
        const id = await commitRandom(work, 'file', size)
        const ref = `refs/heads/w${worker}-${random.below(5)}`
        const [key, args] = [`${name} ${ref}`, ['push', '--quiet', '--force', url, `${id}:${ref}`]]
        const code = patience === undefined ? (await tryGit(args, { cwd: work })).code : await leave(args, work, patience)
        if (code === 0) pushed.set(key, { name, ref, ids: [id] })
        else pushed.get(key)?.ids.push(id)
        if (patience === undefined) count[code === 0 ? 'pushes' : 'failed']++
        else count.left++
      }
      switch (random.below(11)) {
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
        case 2: case 3:
          await push(random.below(10) === 0 ? 3_000_000 : 5_000)
          break
        case 10:
          if (random.below(2) === 0) await push(3_000_000, random.below(400))
          else {
            await leave(['clone', '--quiet', '--bare', url, join(folder, `clone-${worker}`)], '/', random.below(200))
            await rm(join(folder, `clone-${worker}`), { recursive: true, force: true, maxRetries: 3 })
            count.left++
          }
          break
        case 4: case 5: case 6:
          await abort(server.port, name, await git(['rev-parse', 'main'], { cwd: served }), random)
          count.aborts++
          break
        case 7: {
          const victims = random.below(4) === 0
            ? await helpersOf(server.pid)
            : (await processesAbout(served)).filter((line) => /index-pack|unpack-objects|pack-objects|-pack /.test(line)).map((line) => Number.parseInt(line))
          if (victims.length === 0) break
          try { process.kill(random.pick(victims), 'SIGKILL') } catch {}
          count.kills++
          break
        }
        case 8:
          await tryGit(['config', ...((key, given) => [key, random.pick(given)])(...random.pick(CHANGES))], { cwd: served })
          count.changes++
          break
        default:
          await tryGit(random.pick([['repack', '-adq'], ['pack-refs', '--all'], ['gc', '--quiet']]), { cwd: served })
          count.repacks++
      }
    }
    const work = async (seconds: number): Promise<void> => {
      const end = Date.now() + seconds * 1000
      await Promise.all(works.map(async (_, worker) => {
        const random = new Random(Number(values.seed) + worker)
        while (Date.now() < end && server.child.exitCode === null) await act(worker, random)
      }))
    }
    const look = async (): Promise<{ rss: number, listeners: number, descriptors: number, processes: number, disk: number }> => {
      await eventually(async () => (await server.look()).active === 0, 20_000, 'operations end')
      // Until the cache has forgotten what it holds.
      await delay(4_000)
      const { rss, listeners } = await server.look()
      const processes = (await processesAbout(root)).filter((line) => Number.parseInt(line) !== server.pid)
      if (processes.length > 0) problems.push(`processes are left: ${processes.join('; ')}`)
      return { rss, listeners, descriptors: await settled(server.descriptors), processes: (await helpersOf(server.pid)).length, disk: await temporaryFiles() }
    }
    await work(Math.min(20, Number(values.minutes) * 20))
    const before = await look()
    await work(Number(values.minutes) * 60)
    const after = await look()
    console.log(`seed ${values.seed}: ${JSON.stringify(count)}`)
    for (const [what, from, to] of [['descriptors', before.descriptors, after.descriptors], ['listeners', before.listeners, after.listeners], ['helpers', before.processes, after.processes], ['temporary files', before.disk, after.disk]] as const) {
      console.log(`${what}: ${from} before, ${to} after`)
      if (to > from) problems.push(`more ${what}`)
    }
    console.log(`memory: ${Math.round((after.rss - before.rss) / MIB)} MiB more`)
    if (after.rss - before.rss > 32 * MIB) problems.push('memory')
    for (const { name, ref, ids } of pushed.values()) {
      const { stdout } = await tryGit(['rev-parse', ref], { cwd: join(root, name) })
      if (!ids.includes(stdout.trim())) problems.push(`${name} ${ref} is not where a push left it`)
    }
    console.log(`${pushed.size} pushed refs are there`)
    for (const name of NAMES) {
      await tryGit(['config', '--unset-all', 'http.receivepack'], { cwd: join(root, name) })
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
    const left = [...await leftIn(name), ...await processesAbout(join(root, name))]
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

/** What is left of clones that were answered from files, and of whatever the server or git put into a temporary folder. */
async function temporaryFiles (): Promise<number> {
  const names = await Promise.all([temporary, join(folder, 'packs')].map(async (path) => await readdir(path, { recursive: true }).catch(() => [])))
  // The loader of this script's language remembers there what it has read.
  return names.flat().filter((name) => !name.startsWith('tsx-')).length
}

/** Runs a client and kills it after so many milliseconds; answers its exit code if it was faster. */
async function leave (args: string[], cwd: string, milliseconds: number): Promise<number | null> {
  const child = spawn('git', args, { cwd, env: gitEnvironment(), stdio: 'ignore', detached: true })
  const timer = setTimeout(() => { try { process.kill(-(child.pid as number), 'SIGKILL') } catch {} }, milliseconds)
  const [code] = await once(child, 'close') as [number | null]
  clearTimeout(timer)
  return code
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
