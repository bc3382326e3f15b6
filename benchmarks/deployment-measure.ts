import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { median } from './machine.ts'

const run = promisify(execFile)
/** Nothing of the user's own settings changes what is measured, and nobody is asked for a password. */
const ENVIRONMENT = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0' }
const IDENTITY = ['-c', 'user.name=Benchmark', '-c', 'user.email=benchmark@example.org', '-c', 'gc.auto=0', '-c', 'commit.gpgSign=false']
/** Characters. */
const LONGEST_ERROR = 400
/** Bytes of each push. */
export const PUSH_SIZE: number = 1024 * 1024

export interface Target {
  /** Without credentials. */
  url: string
  /** For git. */
  fullUrl: string
  authorization: string | null
}

/** Many of the same. Times in milliseconds. */
export interface Measured {
  name: string
  title: string
  count: number
  atOnce: number
  failed: number
  /** From the first start to the last end. */
  elapsed: number
  perSecond: number
  median: number
  p99: number
  slowest: number
  /** Why the first one failed. */
  error: string | null
}

/** Told after each one. */
export type OnProgress = (done: number, of: number) => void

/** The parts of a URL. @throws TypeError unless it is one of HTTP. */
export function readTarget (given: string): Target {
  const url = URL.canParse(given) ? new URL(given) : null
  if (url === null || !/^https?:$/.test(url.protocol)) throw new TypeError(`--url: only http and https URLs can be measured, not '${given.replace(/\/\/[^/@\s]*@/, '//')}'`)
  const fullUrl = url.href.replace(/\/$/, '')
  const { username, password } = url
  url.username = url.password = ''
  const authorization = username === '' ? null : `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`
  return { url: url.href.replace(/\/$/, ''), fullUrl, authorization }
}

/** The first request of each clone and each fetch. */
export async function measureDiscovery ({ url, authorization }: Target, count: number, onProgress: OnProgress): Promise<Measured> {
  return await many({ name: 'discovery', title: 'ref discoveries', count, atOnce: 16 }, onProgress, async () => {
    const headers: Record<string, string> = { 'git-protocol': 'version=2', ...authorization === null ? {} : { authorization } }
    const response = await fetch(`${url}/info/refs?service=git-upload-pack`, { headers })
    await response.arrayBuffer()
    if (response.status !== 200) throw new Error(`status ${response.status}`)
  })
}

/** Real clones, all at once. */
export async function measureClones ({ fullUrl }: Target, folder: string, count: number, shallow: boolean, onProgress: OnProgress): Promise<Measured> {
  const name = shallow ? 'shallow' : 'full'
  return await many({ name, title: `${name} clones`, count, atOnce: count }, onProgress, async (i) => {
    const into = join(folder, `${name}-${i}`)
    try {
      await git(['clone', '--quiet', '--bare', ...shallow ? ['--depth=1'] : [], fullUrl, into])
    } finally {
      await rm(into, { recursive: true, force: true })
    }
  })
}

/** Pushes of 1 MiB that no compression makes smaller, one after the other, to a branch that is removed again. */
export async function measurePushes ({ fullUrl }: Target, folder: string, count: number, onProgress: OnProgress): Promise<Measured> {
  const work = join(folder, 'push')
  const branch = `refs/heads/benchmark-${randomBytes(6).toString('hex')}`
  await mkdir(work)
  await git(['init', '--quiet', work])
  try {
    return await many({ name: 'push', title: 'pushes of 1 MiB', count, atOnce: 1 }, onProgress, async () => {
      await writeFile(join(work, 'random.bin'), randomBytes(PUSH_SIZE))
      await git([...IDENTITY, '-C', work, 'add', 'random.bin'])
      await git([...IDENTITY, '-C', work, 'commit', '--quiet', '-m', 'benchmark'])
    }, async () => await git(['-C', work, 'push', '--quiet', fullUrl, `HEAD:${branch}`]))
  } finally {
    await git(['-C', work, 'push', '--quiet', fullUrl, `:${branch}`]).catch(() => {})
  }
}

/** Runs `act` `count` times; `after` is what is timed where there is something to prepare. */
async function many (what: Pick<Measured, 'name' | 'title' | 'count' | 'atOnce'>, onProgress: OnProgress, act: (i: number) => Promise<void>, after?: () => Promise<void>): Promise<Measured> {
  const times: number[] = []
  let [next, done, failed, elapsed] = [0, 0, 0, 0]
  let error: string | null = null
  const one = async (): Promise<void> => {
    while (next < what.count) {
      const i = next++
      let begun = performance.now()
      try {
        await act(i)
        if (after !== undefined) {
          begun = performance.now()
          await after()
        }
        times.push(performance.now() - begun)
      } catch (reason) {
        failed++
        error ??= explain(reason)
      }
      if (after !== undefined) elapsed += performance.now() - begun
      onProgress(++done, what.count)
    }
  }
  onProgress(0, what.count)
  const begun = performance.now()
  await Promise.all(Array.from({ length: Math.min(what.atOnce, what.count) }, one))
  if (after === undefined) elapsed = performance.now() - begun
  times.sort((a, b) => a - b)
  const at = (share: number): number => round(times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0)
  return { ...what, failed, error, elapsed: round(elapsed), perSecond: round(times.length / elapsed * 1000), median: times.length === 0 ? 0 : round(median(times)), p99: at(0.99), slowest: at(1) }
}

async function git (args: string[]): Promise<void> {
  await run('git', args, { env: ENVIRONMENT, timeout: 3_600_000 })
}

/** One line without credentials. */
function explain (error: unknown): string {
  const { stderr, message } = error as { stderr?: string, message: string }
  return (stderr ?? message).trim().split(/\s*\n\s*/).join('; ').replace(/\/\/[^/@\s]*@/g, '//').slice(0, LONGEST_ERROR)
}

function round (value: number): number {
  return Number(value.toPrecision(4))
}
