import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import Fastify from 'fastify'
import { createRegistry, joinMetrics } from '../../lib/command/metrics.ts'
import gitHttp from '../../lib/index.ts'
import { DirectoryStore } from '../../lib/packs/directory-store.ts'
import { temporaryFolder } from '../fixtures/folder.ts'

test('of several processes sums are sums, and the folder that they share is counted once', async (t) => {
  const root = await temporaryFolder(t)
  const directory = join(await temporaryFolder(t), 'packs')
  const store = new DirectoryStore({ directory }, { warn: () => {} })
  await store.put('a'.repeat(64), { size: 5000, read: () => Readable.from([Buffer.alloc(5000)]) })
  await store.close()
  const figures = await Promise.all([1, 2, 3].map(async () => {
    const register = await createRegistry()
    const app = Fastify()
    t.after(async () => await app.close())
    await app.register(gitHttp, { root, metrics: { register }, spawner: { processes: 0 }, limits: { maxConcurrent: 5 }, cache: { packs: { directory, shared: 3 } } })
    await app.ready()
    await app.inject('/none.git/info/refs?service=git-upload-pack')
    return await register.getMetricsAsJSON()
  }))
  const { text } = await joinMetrics(figures)
  const value = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
  assert.equal(value('git_http_git_processes_limit'), 15)
  assert.ok(value('git_http_cache_directory_bytes') >= 5000 && value('git_http_cache_directory_bytes') < 6000, `${value('git_http_cache_directory_bytes')}`)
  assert.ok(value('process_resident_memory_bytes') > 3 * 10_000_000)
  assert.ok(value('nodejs_eventloop_lag_seconds') < 3600, 'no sum of times')
})
