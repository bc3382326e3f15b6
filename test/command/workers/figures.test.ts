import assert from 'node:assert/strict'
import { test } from 'node:test'
import { git } from '../../fixtures/git.ts'
import { eventually } from '../../fixtures/processes.ts'
import { startCommand } from '../../fixtures/command.ts'
import { temporaryFolder } from '../../fixtures/folder.ts'
import { makeRepository } from '../../fixtures/repository.ts'
import { openFetch } from '../../fixtures/post-fetch.ts'
import { MB, replaced, startWorkers } from './scene.ts'

function urlIn (lines: Array<Record<string, unknown>>): string {
  return lines.find(({ msg }) => msg === 'metrics are served')?.['url'] as string
}

async function operations (url: string): Promise<number> {
  const text = await (await fetch(url)).text()
  return Number(/^git_http_operations_total\{service="upload-pack",outcome="completed"\} (\d+)$/m.exec(text)?.[1] ?? 0)
}

test('metrics are those of all workers, and no sum falls when workers are replaced', async (t) => {
  const scene = await startWorkers(t, { workers: '3', args: ['--metrics-port', '0'] })
  const url = urlIn(scene.lines())
  assert.match(url, /^http:\/\/localhost:\d+\/metrics$/)
  // Two requests each.
  for (let i = 0; i < 9; i++) await git(['ls-remote', scene.appUrl])
  await eventually(async () => await operations(url) === 18, 5_000, 'all are counted')
  const text = await (await fetch(url)).text()
  assert.match(text, /^git_http_helpers 3$/m)
  assert.match(text, /^process_resident_memory_bytes \d+$/m)
  const before = scene.workers()
  scene.child.kill('SIGHUP')
  await replaced(scene, before)
  await git(['ls-remote', scene.appUrl])
  await eventually(async () => await operations(url) === 20, 15_000, `the old ones are counted as well, ${await operations(url)}`)
})

test('the status page of any worker shows what all do', async (t) => {
  const scene = await startWorkers(t, { workers: '3', stopAfter: 2 * MB })
  const [one, two] = [await openFetch(scene.appUrl, scene.body), await openFetch(scene.appUrl, scene.body)]
  // Each connection is another worker's turn.
  const counts = async (): Promise<number[]> => await Promise.all(Array.from({ length: 6 }, async () =>
    ((await (await fetch(`${scene.url}/-/status`, { headers: { connection: 'close' } })).text()).match(/>upload-pack<\/td>/g) ?? []).length))
  await eventually(async () => (await counts()).every((count) => count === 2), 10_000, `each shows both, only ${await counts()}`)
  one.destroy()
  two.destroy()
})

test('a single process serves its own metrics, on a port of their own', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const server = await startCommand(t, ['--root', root, '--metrics-port', '0', '--no-web'])
  const url = urlIn(server.log().trim().split('\n').map((line) => JSON.parse(line)))
  await git(['ls-remote', `${server.url}/app.git`])
  await eventually(async () => await operations(url) === 2, 5_000, 'both are counted')
  assert.equal((await fetch(`${server.url}/metrics`)).status, 404)
  assert.equal((await fetch(url.replace('/metrics', '/'))).status, 404)
  // Without pages, health is told all the same, and is no news for the log.
  assert.deepEqual(await Promise.all(['/-/live', '/-/ready', '/-/status'].map(async (path) => (await fetch(`${server.url}${path}`)).status)), [200, 200, 404])
  assert.doesNotMatch(server.log(), /-\/live|-\/ready/)
})
