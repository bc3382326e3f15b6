import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { TestContext } from 'node:test'
import { endGit } from '../../lib/git/end-process.ts'
import type { GitExit } from '../../lib/git/exit.ts'
import type { GitProcess } from '../../lib/git/git-process.ts'
import { openStarter } from '../../lib/git/spawner.ts'
import type { Starter } from '../../lib/git/starter.ts'
import { encodePacket, packetLength } from '../../lib/protocol/pkt-line.ts'
import { HookFolder } from '../../lib/push/hook-folder.ts'
import { hooksPath, ownHooks } from '../../lib/push/hook-own.ts'
import { openHookPoint, type HookPoint, type HookPointOptions } from '../../lib/push/hook-point.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, gitEnvironment, tryGit } from '../fixtures/git.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { writeScript } from '../fixtures/shims.ts'

export const ZERO = '0'.repeat(40)

export interface Scene {
  root: string
  /** Receives the pushes. */
  served: string
  work: string
  /** The commit on main in `work`. */
  id: string
  starter: Starter
  folder: HookFolder
}

export interface Push extends Partial<Pick<HookPointOptions, 'preReceive' | 'postReceive' | 'deadline'>> {
  /** Default: main is created. */
  refs?: Array<{ old?: string, new?: string, ref: string }>
  capabilities?: string
  options?: string[]
  /** The directory that receives it; default the scene's. */
  directory?: string
  config?: Record<string, string>
  env?: Record<string, string>
  /** Sends something else than the whole request. */
  send?: (stdin: Writable, request: Buffer) => void
}

export interface Running {
  point: HookPoint
  git: GitProcess
  /** What the client has read so far: report-status, and the lines of band 2. */
  report: () => string
  remote: () => string
  errors: string[]
  /** Ends the push, waits for it and frees everything. */
  done: Promise<{ exit: GitExit, report: string, remote: string }>
  /** The client leaves. */
  leave: () => Promise<void>
}

/** A repository and a working copy; what a push needs. Afterwards nothing may be left of it. */
export async function openScene (t: TestContext, processes: number): Promise<Scene> {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git', { commits: 0 })
  const work = await makeWorkingCopy(root, 'work')
  const starter = await openStarter('git', processes, { error: () => {} })
  const { TMPDIR } = process.env
  process.env['TMPDIR'] = root
  const folder = await HookFolder.open()
  TMPDIR === undefined ? delete process.env['TMPDIR'] : process.env['TMPDIR'] = TMPDIR
  t.after(async () => {
    await folder.close()
    await starter.close()
  })
  return { root, served, work, id: await git(['rev-parse', 'HEAD'], { cwd: work }), starter, folder }
}

/** Writes hooks of the repository's own. ROOT in them is the scene's folder. */
export async function writeHooks (scene: Scene, hooks: Record<string, string>, folder: string = join(scene.served, 'hooks')): Promise<void> {
  for (const [name, body] of Object.entries(hooks)) await writeScript(folder, name, body.replaceAll('ROOT', scene.root))
}

/** What the repository's hooks wrote to ROOT/log. */
export async function logOf ({ root }: Scene): Promise<string> {
  return await readFile(join(root, 'log'), 'utf8').catch(() => '')
}

/** Starts a receive-pack with hooks, and sends it a push. */
export async function startPush (scene: Scene, push: Push = {}): Promise<Running> {
  const { starter, folder, served } = scene
  const { directory = served, config = {}, capabilities = 'report-status side-band-64k', options } = push
  const errors: string[] = []
  const env = gitEnvironment(push.env)
  const repository = { directory, common: directory }
  const configured = (await tryGit(['config', '--get', 'core.hooksPath'], { cwd: directory })).stdout
  const path = await hooksPath(repository, configured === '' ? undefined : configured.trimEnd(), starter, config, env)
  const settings = ['-c', `safe.directory=${directory}`, ...Object.entries(config).flatMap(([key, value]) => ['-c', `${key}=${value}`])]
  const point = await openHookPoint({
    folder,
    repository,
    own: await ownHooks(repository, path),
    deadline: push.deadline ?? 20_000,
    start: async (args, extra, options) => await starter.start([...settings, ...args], { ...env, ...extra }, options),
    preReceive: push.preReceive,
    postReceive: push.postReceive,
    onError: (error, hook) => errors.push(`${hook}: ${error.message}`)
  })
  const process = await starter.start([...settings, ...point.args, 'receive-pack', '--stateless-rpc', directory],
    { ...env, ...point.env }, { write: true, hookFolder: point.hookFolder })
  point.attach(process)
  const bands = demultiplex(process)
  const request = await requestOf(scene, push.refs ?? [{ ref: 'refs/heads/main' }], capabilities, options)
  if (push.send === undefined) process.stdin.end(request)
  else push.send(process.stdin, request)
  const done = Promise.all([process.exited, finished(process.stdout, { writable: false }).catch(() => {})]).then(async ([exit]) => {
    await point.close()
    return { exit, report: bands.report(), remote: bands.remote() }
  })
  const leave = async (): Promise<void> => {
    await Promise.all([endGit(process, { write: true }), point.close()])
  }
  return { point, git: process, ...bands, errors, done, leave }
}

async function requestOf ({ work, id }: Scene, refs: NonNullable<Push['refs']>, capabilities: string, options: string[] | undefined): Promise<Buffer> {
  const commands = refs.map(({ old = ZERO, new: after = id, ref }) => `${old} ${after} ${ref}`)
  const wanted = refs.map(({ new: after = id }) => after).filter((after) => after !== ZERO)
  const { bytes } = wanted.length === 0 ? { bytes: Buffer.alloc(0) } : await tryGit(['pack-objects', '--revs', '--stdout', '-q'], { cwd: work, input: `${wanted.join('\n')}\n` })
  return Buffer.concat([
    ...commands.map((line, i) => encodePacket(i === 0 ? `${line}\0 ${capabilities}` : line)),
    Buffer.from('0000'),
    ...(options === undefined ? [] : [...options.map((option) => encodePacket(option)), Buffer.from('0000')]),
    bytes
  ])
}

function demultiplex ({ stdout }: GitProcess): Pick<Running, 'report' | 'remote'> {
  let rest = Buffer.alloc(0)
  const bands = ['', '', '', '']
  stdout.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 4) {
      const length = Math.max(4, packetLength(rest))
      if (rest.length < length) return
      const band = rest[4] ?? 0
      if (length > 5) bands[band] += rest.toString('utf8', 5, length)
      rest = rest.subarray(length)
    }
  })
  return { report: () => bands[1] as string, remote: () => bands[2] as string }
}

/** Refs of the receiving repository. */
export async function refsOf ({ served }: Scene): Promise<string> {
  return await git(['for-each-ref', '--format=%(refname)'], { cwd: served })
}

/** No process, no quarantine, no folder, no object that a refused push has brought. */
export async function assertNothingLeft ({ served, folder }: Scene): Promise<void> {
  await eventually(async () => (await processesAbout(served)).length === 0, 5_000, 'processes end')
  const files = await readdir(served, { recursive: true })
  assert.deepEqual(files.filter((name) => /tmp_objdir|incoming-|\.lock$/.test(name)), [])
  assert.deepEqual(await readdir(folder.path), ['shim'])
}

/** True when the repository has no objects. */
export async function hasNoObjects ({ served }: Scene): Promise<boolean> {
  return (await git(['count-objects', '-v'], { cwd: served })).startsWith('count: 0\nsize: 0\nin-pack: 0')
}
