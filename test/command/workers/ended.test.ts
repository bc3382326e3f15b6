/** What is known of workers that have ended, crash or hang. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { git } from '../../fixtures/git.ts'
import { isAlive } from '../../fixtures/helpers.ts'
import { eventually } from '../../fixtures/processes.ts'
import { replaced, startWorkers, type WorkersScene } from './scene.ts'

/** Milliseconds after which something that should answer hangs. */
const HANGS = 20_000

async function read (url: string): Promise<string> {
  // A connection that stays open would keep its worker.
  return await (await fetch(url, { headers: { connection: 'close' }, signal: AbortSignal.timeout(HANGS) })).text()
}

async function metrics (scene: WorkersScene): Promise<string> {
  return await read(scene.lines().find(({ msg }) => msg === 'metrics are served')?.['url'] as string)
}

/** Two workers that have answered eight requests, and were asked for their figures after that. */
async function startCounted (t: TestContext): Promise<WorkersScene> {
  const scene = await startWorkers(t, { workers: '2', args: ['--metrics-port', '0'] })
  for (let i = 0; i < 4; i++) await git(['ls-remote', scene.appUrl])
  await eventually(async () => /outcome="completed"\} 8$/m.test(await metrics(scene)), 5_000, 'all are counted')
  return scene
}

test('what workers that have ended did stays on the status page, and what they had is no longer counted', async (t) => {
  const scene = await startWorkers(t, { workers: '2', args: ['--metrics-port', '0'] })
  // Two requests each.
  for (let i = 0; i < 4; i++) await git(['ls-remote', scene.appUrl])
  const before = scene.workers()
  scene.child.kill('SIGHUP')
  await replaced(scene, before)
  await eventually(async () => before.every((pid) => !isAlive(pid)), 15_000, 'the old ones end')
  await eventually(async () => /data-figure="ended">8</.test(await read(`${scene.url}/-/status`)), 10_000, 'the page of a new worker tells what the old ones did')
  const text = await metrics(scene)
  assert.match(text, /^git_http_operations_total\{service="upload-pack",outcome="completed"\} 8$/m)
  assert.match(text, /^git_http_helpers 2$/m)
})

test('of a worker that is killed its last sums stay, and what it had does not', async (t) => {
  const scene = await startCounted(t)
  const [first = 0] = scene.workers()
  process.kill(first, 'SIGKILL')
  await eventually(async () => scene.workers().length === 2 && !scene.workers().includes(first), 15_000, 'there is another one')
  await eventually(async () => /^git_http_helpers 2$/m.test(await metrics(scene)), 10_000, 'two helpers, as before')
  assert.match(await metrics(scene), /outcome="completed"\} 8$/m)
})

test('a worker that does not answer holds up neither the metrics nor the status page of the others', async (t) => {
  const scene = await startCounted(t)
  const [hung = 0] = scene.workers()
  process.kill(hung, 'SIGSTOP')
  t.after(() => { process.kill(hung, 'SIGCONT') })
  // What it told last counts.
  assert.match(await metrics(scene), /outcome="completed"\} 8$/m)
  // One of these may be given to the one that hangs.
  const page = async (): Promise<string> => await Promise.any([1, 2].map(async () => await read(`${scene.url}/-/status`)))
  await eventually(async () => /data-figure="ended">8</.test(await page()), 10_000, 'the page tells what both did')
})

test('what a worker says when it crashes is in the log, before the line that it ended', async (t) => {
  const preload = 'import cluster from "node:cluster"; if (cluster.isWorker) process.on("SIGUSR2", () => { throw new Error("the last words") })'
  const scene = await startWorkers(t, { workers: '2', preload })
  process.kill(scene.workers()[0] as number, 'SIGUSR2')
  await scene.logged('a worker ended; starting another')
  assert.match(scene.log(), /Error: the last words[^]*a worker ended; starting another/)
  assert.equal(scene.lines().find(({ msg }) => msg === 'a worker ended; starting another')?.['code'], 1)
})

test('no two requests have the same id, whichever workers they come to', async (t) => {
  const scene = await startWorkers(t, { workers: '2' })
  for (let i = 0; i < 4; i++) await git(['ls-remote', scene.appUrl])
  const told = (): Array<Record<string, unknown>> => scene.lines().filter(({ msg }) => msg === 'git operation')
  await eventually(async () => told().length === 8, 5_000, 'all are told')
  assert.equal(new Set(told().map(({ worker }) => worker)).size, 2)
  assert.equal(new Set(told().map(({ reqId }) => reqId)).size, 8)
  for (const { reqId, worker } of told()) assert.ok((reqId as string).startsWith(`req-${worker as number}-`), `${reqId as string} of ${worker as number}`)
})
