import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, type Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import type { PackAnswer, PackCacheSettings } from '../../lib/packs/pack-answer.ts'
import { PackCache } from '../../lib/packs/pack-cache.ts'
import type { PackLog } from '../../lib/packs/pack-store.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { descriptors } from '../fixtures/processes.ts'

export const KB = 1024
export const MB = 1024 * KB

export function keyOf (name: string): string {
  return createHash('sha256').update(name).digest('hex')
}

export interface Log extends PackLog { lines: Array<{ message: string, details: object }> }

export function makeLog (): Log {
  const lines: Log['lines'] = []
  return { lines, warn: (details, message) => { lines.push({ details, message }) } }
}

/** A git of which the test decides what it says and when. */
export interface FakeGit {
  stdout: PassThrough
  signal: AbortSignal
}

export interface Scene {
  cache: PackCache
  log: Log
  folder: string
  /** The gits that were started, in order. */
  started: FakeGit[]
  /** Asks; git is the test's. */
  ask (key: string, left?: AbortSignal): Promise<PackAnswer>
  /** Asks; git says `bytes`, in pieces of up to `piece` bytes. */
  fetch (key: string, bytes: Buffer, piece?: number): Promise<PackAnswer>
}

export async function makeScene (t: TestContext, options: PackCacheSettings = {}): Promise<Scene> {
  const folder = options.directory ?? join(await temporaryFolder(t), 'packs')
  const log = makeLog()
  const cache = new PackCache({ directory: folder, ...options }, log)
  t.after(async () => await cache.close())
  const started: FakeGit[] = []
  const start = async (signal: AbortSignal): Promise<PassThrough> => {
    const stdout = new PassThrough()
    started.push({ stdout, signal })
    return stdout
  }
  return {
    cache,
    log,
    folder,
    started,
    ask: async (key, left = new AbortController().signal) => await cache.get(key, { left }, start),
    fetch: async (key, bytes, piece = 65_536) => await cache.get(key, { left: new AbortController().signal }, async (signal) => {
      const stdout = await start(signal)
      say(stdout, bytes, piece)
      return stdout
    })
  }
}

function say (stdout: PassThrough, bytes: Buffer, piece: number): void {
  let at = 0
  const more = (): void => {
    while (at < bytes.length && !stdout.destroyed) {
      const chunk = bytes.subarray(at, at += piece)
      if (!stdout.write(chunk)) {
        stdout.once('drain', more)
        return
      }
    }
    stdout.end()
  }
  more()
}

/** The whole answer. */
export async function bytesOf ({ bytes, stream }: PackAnswer): Promise<Buffer> {
  return bytes ?? await buffer(stream as Readable)
}

export function random (length: number): Buffer {
  return randomBytes(length)
}

/** Names in the folder: of entries and of temporary files. */
export async function filesIn (folder: string): Promise<{ entries: string[], temporary: string[] }> {
  const names = await readdir(folder).catch(() => [] as string[])
  return { entries: names.filter((name) => name.endsWith('.pack')), temporary: names.filter((name) => name.startsWith('tmp-')) }
}

/** Descriptors of this process that lead into the folder. */
export async function openIn (folder: string): Promise<string[]> {
  return (await descriptors()).filter((target) => target.startsWith(`${folder}/`))
}

/** Milliseconds that are waited for what other events of this process bring about. */
const PATIENCE = 20_000

/** Resolves when `check` holds, which other events of this process will bring about. */
export async function until (check: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE
  while (!await check()) {
    if (performance.now() > end) throw new Error('never came true')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** A new folder on a file system of its own with room for so many bytes; null where none may be mounted. */
export function mountSmall (t: TestContext, bytes: number): string | null {
  if (process.platform !== 'linux' || process.geteuid?.() !== 0) return null
  const folder = mkdtempSync(join(tmpdir(), 'fastify-git-http-test-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=700`, 'tmpfs', folder], { stdio: 'ignore' })
    t.after(() => {
      execFileSync('umount', ['-l', folder])
      rmdirSync(folder)
    })
    return folder
  } catch {
    // A container may not.
    rmdirSync(folder)
    return null
  }
}
