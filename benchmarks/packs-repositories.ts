import { spawn } from 'node:child_process'
import { createHash, randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { GIT_ENVIRONMENT, git } from './discovery-repositories.ts'
import { track } from './peers/daemon.ts'

/** They take minutes to make and are kept between runs. The number changes with what is in them. */
export const ROOT: string = join(tmpdir(), 'fastify-git-http-bench-packs-1')

export interface Repository {
  /** Its path in URLs. */
  name: string
  objects: number
  packBytes: number
  /** The commits of `main`, the newest last. */
  commits: string[]
  /** The objects that `refs/tags/` names, in their order. */
  tags: string[]
}

export interface Repositories {
  large: Repository
  /** The same with a reachability bitmap. */
  bitmapped: Repository
  middle: Repository
  random: Repository
}

interface Shape { commits: number, files: number, lines: number, changed: number }

/**
 * The repositories that are measured. Where there are none from an earlier run, they are made first.
 *
 * They have no bitmaps, like a repository that nobody ran a complete `git gc` in since the last pushes; but see `bitmapped`.
 */
export async function makeRepositories (): Promise<Repositories> {
  await mkdir(ROOT, { recursive: true, mode: 0o755 })
  const large = (): Iterable<string> => history({ commits: 54_000, files: 400, lines: 40, changed: 16 })
  return {
    large: await ensure('large.git', large, []),
    bitmapped: await ensure('bitmapped.git', large, [], ['--write-bitmap-index']),
    middle: await ensure('middle.git', () => history({ commits: 1200, files: 300, lines: 40, changed: 16 }), []),
    random: await ensure('random.git', () => randomFiles(30, 10_000_000), ['-c', 'pack.compression=0', '-c', 'core.bigFileThreshold=1m'])
  }
}

async function ensure (name: string, stream: () => Iterable<string | Buffer>, settings: string[], repack: string[] = []): Promise<Repository> {
  const directory = join(ROOT, name)
  if (!await stat(directory).then(() => true, () => false)) {
    console.log(`making ${name} ...`)
    const unfinished = `${directory}.${process.pid}`
    try {
      await git(['init', '--quiet', '--bare', '--initial-branch=main', unfinished])
      await fastImport(unfinished, stream(), settings)
      await git(['-c', 'repack.writeBitmaps=false', ...settings, '-C', unfinished, 'repack', '-adq', ...repack])
      await git(['-C', unfinished, 'pack-refs', '--all'])
      await rename(unfinished, directory)
    } finally {
      await rm(unfinished, { recursive: true, force: true })
    }
  }
  return await describe(name, directory)
}

async function describe (name: string, directory: string): Promise<Repository> {
  const counts = await git(['-C', directory, 'count-objects', '-v'])
  const count = (key: string): number => Number(new RegExp(`^${key}: (\\d+)$`, 'm').exec(counts)?.[1])
  return {
    name,
    objects: count('in-pack'),
    packBytes: count('size-pack') * 1024,
    commits: (await git(['-C', directory, 'rev-list', '--first-parent', '--reverse', 'main'])).split('\n'),
    tags: (await git(['-C', directory, 'for-each-ref', '--format=%(objectname)', 'refs/tags/'])).split('\n').filter(Boolean)
  }
}

async function fastImport (directory: string, stream: Iterable<string | Buffer>, settings: string[]): Promise<void> {
  const child = spawn('git', ['-c', 'pack.compression=1', ...settings, '-C', directory, 'fast-import', '--quiet'], { env: GIT_ENVIRONMENT, stdio: ['pipe', 'ignore', 'inherit'] })
  track(child)
  const exited = once(child, 'close')
  await pipeline(Readable.from(stream), child.stdin)
  const [code] = await exited as [number | null]
  if (code !== 0) throw new Error(`git fast-import: exit code ${code}`)
}

/** A line that deflate can do little about, the same in every run. */
const line = (...parts: number[]): string => createHash('sha512').update(parts.join()).digest('base64')

function commit (mark: number, files: string): string {
  const message = `Change ${mark}\n\n${line(mark)}\n`
  return `commit refs/heads/main\nmark :${mark}\ncommitter Ann Author <ann@example.org> ${1_700_000_000 + mark * 600} +0000\n` +
    `data ${message.length}\n${message}${mark === 1 ? '' : `from :${mark - 1}\n`}${files}\n`
}

/**
 * Somebody works on one file for eight commits, somebody else on another one. So the newest version of most objects is a delta
 * to an older one, as it is where histories grow by pushes: that is how a client sends them, and how git keeps them. A shallow
 * clone leaves the older ones out, and git has to look for other deltas, every time. Ten commits have a tag.
 */
function * history ({ commits, files, lines, changed }: Shape): Iterable<string> {
  const sources = Array.from({ length: files }, (_, file) => Array.from({ length: lines }, (_, row) => line(file, row)))
  const content = (file: number): string => {
    const data = `${(sources[file] as string[]).join('\n')}\n`
    return `M 100644 inline src/part-${file % 20}/file-${file}.txt\ndata ${data.length}\n${data}\n`
  }
  yield commit(1, sources.map((_, file) => content(file)).join(''))
  for (let mark = 2; mark <= commits; mark++) {
    const file = (mark >> 3) * 7 % files
    for (let n = 0; n < changed; n++) (sources[file] as string[])[(mark + n) % lines] = line(file, mark, n)
    yield commit(mark, content(file))
  }
  for (let tag = 1; tag <= 10; tag++) {
    yield `tag v${tag}\nfrom :${Math.floor(commits * tag / 11)}\ntagger Ann Author <ann@example.org> 1700000000 +0000\ndata 8\nRelease\n\n`
  }
}

function * randomFiles (files: number, size: number): Iterable<string | Buffer> {
  yield commit(1, '').slice(0, -1)
  for (let file = 0; file < files; file++) {
    yield `M 100644 inline file-${file}.bin\ndata ${size}\n`
    yield randomFillSync(Buffer.alloc(size))
    yield '\n'
  }
}
