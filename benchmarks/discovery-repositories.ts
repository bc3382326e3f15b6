import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { track } from './peers/daemon.ts'

/** An environment in which no setting of this machine or its user counts. */
export const GIT_ENVIRONMENT: Record<string, string> = {
  PATH: process.env['PATH'] ?? '',
  HOME: '/nonexistent',
  LC_ALL: 'C',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0'
}

/** Two refs of `changing.git`; each takes one of its commits before every request of an uncached measurement. */
export const CHANGING_REFS = ['refs/heads/changing-a', 'refs/heads/changing-b']

export interface Repositories {
  /** Commits that `changing.git` has. */
  changing: string[]
  /** Commits of `middle.git`, the newest last. */
  middle: string[]
}

export async function git (args: string[], input: Iterable<string> = []): Promise<string> {
  const child = spawn('git', args, { env: GIT_ENVIRONMENT, stdio: ['pipe', 'pipe', 'inherit'] })
  track(child)
  child.stdin.on('error', () => {})
  const output = text(child.stdout)
  const exited = once(child, 'close')
  for (const part of input) if (!child.stdin.write(part)) await Promise.race([once(child.stdin, 'drain'), exited])
  child.stdin.end()
  const [code] = await exited as [number | null]
  if (code !== 0) throw new Error(`git ${args.join(' ')}: exit code ${code}`)
  return (await output).trim()
}

/** Makes every repository that is measured, the same bytes each time. */
export async function makeRepositories (root: string): Promise<Repositories> {
  await importInto(join(root, 'small.git'), smallHistory())
  await pack(join(root, 'small.git'))

  const thousand = await importInto(join(root, 'refs1000.git'), thousandRefs())
  await pack(join(root, 'refs1000.git'))
  await cp(join(root, 'refs1000.git'), join(root, 'changing.git'), { recursive: true })
  await writeFile(join(root, 'changing.git', 'packed-refs'), await withChangingRefs(join(root, 'changing.git'), thousand))

  const many = await importInto(join(root, 'refs100000.git'), chain(100_000))
  await pack(join(root, 'refs100000.git'))
  // git would make 100,000 files first, and then pack them; this is what it writes in the end.
  await writeFile(join(root, 'refs100000.git', 'packed-refs'), packedRefs([...many.map((id, index) => `${id} refs/heads/topic-${String(index).padStart(6, '0')}`), `${many.at(-1)} refs/heads/main`]))

  const middle = await importInto(join(root, 'middle.git'), middleHistory())
  await pack(join(root, 'middle.git'))
  return { changing: thousand, middle }
}

/** The ids of the commits, in the order in which they were made. */
async function importInto (directory: string, stream: Iterable<string>): Promise<string[]> {
  await git(['init', '--quiet', '--bare', '--initial-branch=main', directory])
  const marks = join(directory, 'marks')
  await git(['-C', directory, 'fast-import', '--quiet', `--export-marks=${marks}`], stream)
  const ids = new Map((await readFile(marks, 'utf8')).trim().split('\n').map((line) => line.slice(1).split(' ') as [string, string]))
  return Array.from(ids.keys()).map(Number).sort((a, b) => a - b).map((mark) => ids.get(String(mark)) as string)
}

async function pack (directory: string): Promise<void> {
  await git(['-C', directory, 'repack', '-adq'])
  await git(['-C', directory, 'pack-refs', '--all'])
}

function commit (ref: string, mark: number, from: number | null, files = ''): string {
  const message = `Change ${mark}\n`
  return `commit ${ref}\nmark :${mark}\ncommitter Ann Author <ann@example.org> ${1_700_000_000 + mark * 60} +0000\n` +
    `data ${message.length}\n${message}${from === null ? '' : `from :${from}\n`}${files}\n`
}

function * chain (length: number): Iterable<string> {
  for (let mark = 1; mark <= length; mark++) yield commit('refs/heads/main', mark, mark === 1 ? null : mark - 1)
}

function * smallHistory (): Iterable<string> {
  yield * chain(20)
  for (const mark of [5, 10, 15]) yield `reset refs/heads/topic-${mark}\nfrom :${mark}\n\n`
}

/** 800 branches and 200 annotated tags, each with a commit of its own. */
function * thousandRefs (): Iterable<string> {
  yield * chain(1000)
  for (let mark = 1; mark < 800; mark++) yield `reset refs/heads/team-${mark % 20}/topic-${mark}\nfrom :${mark}\n\n`
  for (let mark = 801; mark <= 1000; mark++) {
    yield `tag v${mark}\nfrom :${mark}\ntagger Ann Author <ann@example.org> ${1_700_000_000 + mark * 60} +0000\ndata 8\nRelease\n\n`
  }
}

/** 3,000 commits over 600 source files, three lines changed in each. */
function * middleHistory (): Iterable<string> {
  const line = (...parts: number[]): string => createHash('sha1').update(parts.join()).digest('hex')
  const sources = Array.from({ length: 600 }, (_, file) => Array.from({ length: 60 }, (_, row) => line(file, row)))
  const content = (file: number): string => {
    const data = `${(sources[file] as string[]).join('\n')}\n`
    return `M 100644 inline src/part-${file % 30}/file-${file}.txt\ndata ${data.length}\n${data}\n`
  }
  yield commit('refs/heads/main', 1, null, sources.map((_, file) => content(file)).join(''))
  for (let mark = 2; mark <= 3000; mark++) {
    const changed = [mark * 7 % 600, mark * 11 % 600, mark * 13 % 600]
    for (const file of changed) (sources[file] as string[])[mark % 60] = line(file, mark)
    yield commit('refs/heads/main', mark, mark - 1, changed.map(content).join(''))
  }
}

function packedRefs (lines: string[]): string {
  const name = (line: string): string => line.split(' ')[1] as string
  const sorted = lines.sort((a, b) => name(a) < name(b) ? -1 : 1)
  return `# pack-refs with: peeled fully-peeled sorted \n${sorted.join('\n')}\n`
}

/** The refs that change have a packed value as well, as in a repository that was packed an hour ago. */
async function withChangingRefs (directory: string, ids: string[]): Promise<string> {
  const present = await readFile(join(directory, 'packed-refs'), 'utf8')
  const entries = present.split('\n').slice(1, -1)
    .reduce<string[]>((all, line) => line.startsWith('^') ? [...all.slice(0, -1), `${all.at(-1)}\n${line}`] : [...all, line], [])
  return packedRefs([...entries, ...CHANGING_REFS.map((ref) => `${ids[0]} ${ref}`)])
}
