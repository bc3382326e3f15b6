import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GIT_ENVIRONMENT } from './discovery-repositories.ts'
import type { HttpRequest } from './discovery-workloads.ts'
import type { Outcome } from './packs-readers.ts'
import { Demultiplexer } from './packs-demultiplex.ts'
import { track } from './peers/daemon.ts'

/** The requests answered by git alone, over pipes, so many at once. CPU milliseconds are of git and its children. */
export async function bareGit (root: string, requests: HttpRequest[], connections: number): Promise<Outcome & { cpu: number }> {
  const outcome: Outcome = { seconds: 0, bytes: 0, answers: 0, packs: [], errors: [] }
  const before = await childMilliseconds()
  const started = performance.now()
  let next = 0
  await Promise.all(Array.from({ length: connections }, async () => {
    for (let request = requests[next++]; request !== undefined; request = requests[next++]) await run(root, request, outcome)
  }))
  outcome.seconds = (performance.now() - started) / 1000
  return { ...outcome, cpu: await childMilliseconds() - before }
}

async function run (root: string, { repository, body }: HttpRequest, outcome: Outcome): Promise<void> {
  const child = spawn('git', ['upload-pack', '--stateless-rpc', join(root, repository)], { env: { ...GIT_ENVIRONMENT, GIT_PROTOCOL: 'version=2' }, stdio: ['pipe', 'pipe', 'inherit'] })
  track(child)
  const pack = new Demultiplexer()
  child.stdout.on('data', (bytes: Buffer) => {
    outcome.bytes += bytes.length
    pack.push(bytes)
  })
  child.stdin.end(body)
  const [code] = await once(child, 'close') as [number | null]
  if (code !== 0 || !pack.intact) {
    outcome.errors.push(`git upload-pack: exit code ${code} ${pack.error}`)
    return
  }
  outcome.answers++
  outcome.packs.push(pack.packBytes)
}

/** proc_pid_stat(5), cutime and cstime (fields 16 and 17), in hundredths of a second: of children that were waited for, and theirs. */
async function childMilliseconds (): Promise<number> {
  const stat = await readFile('/proc/self/stat', 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[13]) + Number(fields[14])) * 10
}
