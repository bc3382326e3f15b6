import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { startCommand, type RunningCommand } from '../../fixtures/command.ts'
import { fetchV2 } from '../../fixtures/fetch-request.ts'
import { temporaryFolder } from '../../fixtures/folder.ts'
import { largeRepository, tipOf } from '../../fixtures/pack-scene.ts'
import { eventually } from '../../fixtures/processes.ts'
import { writeScript } from '../../fixtures/shims.ts'

export const MB = 1024 * 1024

export interface WorkersScene extends Omit<RunningCommand, 'lines'> {
  folder: string
  root: string
  served: string
  appUrl: string
  /** A fetch of everything. */
  body: Buffer
  /** The gits that were started for `command` so far. */
  started (command: string): Promise<number>
  /** Process ids of the workers, as the log told last. */
  workers (): number[]
  /** The log's lines. */
  lines (): Array<Record<string, unknown>>
  /** Lets gits go on that stopped in the middle of their answers. */
  open (): Promise<void>
  /** How many have. */
  stopped (): Promise<number>
}

export interface WorkersOptions {
  workers: string
  args?: string[]
  /** Bytes of the repository. */
  size?: number
  /** Bytes after which upload-packs that answer a fetch wait for `open`. */
  stopAfter?: number
  /** JavaScript that every process of the command runs first. */
  preload?: string
}

/** The command with workers, a pack folder of its own, and gits that write down that they were started. */
export async function startWorkers (t: TestContext, { workers, args = [], size = 6 * MB, stopAfter, preload }: WorkersOptions): Promise<WorkersScene> {
  const folder = await temporaryFolder(t)
  const [root, temporary, home, bin] = ['root', 'tmp', 'home', 'bin'].map((name) => join(folder, name)) as [string, string, string, string]
  const events = join(home, 'events')
  for (const path of [root, temporary, events, bin]) await mkdir(path, { recursive: true })
  await writeFile(join(home, '.gitconfig'), `[trace2]\n\teventTarget = ${events}\n`)
  const served = await largeRepository(size)(root)
  const env: Record<string, string> = { TMPDIR: temporary, HOME: home }
  if (preload !== undefined) env['NODE_OPTIONS'] = `--import=data:text/javascript,${encodeURIComponent(preload)}`
  if (stopAfter !== undefined) {
    const real = process.env['PATH'] ?? ''
    await writeScript(bin, 'git', `PATH=${real}; case " $* " in *" --advertise-refs "*|*" --http-backend-info-refs "*) exec git "$@";; *" upload-pack "*) cat > ${folder}/asked.$$; git "$@" < ${folder}/asked.$$ > ${folder}/answer.$$; head -c ${stopAfter} ${folder}/answer.$$; if [ $(stat -c %s ${folder}/answer.$$) -gt ${stopAfter} ]; then touch ${folder}/waits.$$; while [ ! -e ${folder}/open ]; do sleep 0.02; done; tail -c +${stopAfter + 1} ${folder}/answer.$$; fi; exit 0;; esac; exec git "$@"`)
    env['PATH'] = `${bin}:${real}`
  }
  const command = await startCommand(t, ['--root', root, '--workers', workers, ...args], { env })
  const lines = (): Array<Record<string, unknown>> => command.log().trim().split('\n').filter((line) => line.endsWith('}')).map((line) => JSON.parse(line))
  return {
    ...command,
    folder,
    root,
    served,
    appUrl: `${command.url}/app.git`,
    body: fetchV2({ wants: [await tipOf(served)] }),
    lines,
    workers: () => lines().filter(({ msg }) => msg === 'workers serve').at(-1)?.['workers'] as number[],
    started: async (name) => {
      let count = 0
      for (const file of await readdir(events)) {
        const text = await import('node:fs/promises').then(async ({ readFile }) => await readFile(join(events, file), 'utf8'))
        count += text.split('\n').filter((line) => line.includes('"event":"start"') && (JSON.parse(line) as { argv: string[] }).argv.includes(name)).length
      }
      return count
    },
    open: async () => await writeFile(join(folder, 'open'), ''),
    stopped: async () => (await readdir(folder)).filter((name) => name.startsWith('waits.')).length
  }
}

/** Resolves once the workers are others than `before`, and as many. */
export async function replaced (scene: WorkersScene, before: number[]): Promise<number[]> {
  await eventually(async () => scene.workers().length === before.length && scene.workers().every((pid) => !before.includes(pid)), 15_000, 'new workers')
  return scene.workers()
}
