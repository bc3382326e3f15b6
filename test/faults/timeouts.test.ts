/** The deadlines of Fastify and Node: what of them would cut a push is told when the server starts, or does not hold for git's URLs. */
import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyServerOptions } from 'fastify'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { eventually } from '../fixtures/processes.ts'
import { OpenPost, pushBody } from '../fixtures/raw-push.ts'
import { makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'

const WARNINGS: Array<{ what: string, fastify: FastifyServerOptions, told: Array<Record<string, number>> }> = [
  { what: 'no deadline', fastify: {}, told: [] },
  { what: 'a deadline for the whole request', fastify: { requestTimeout: 300_000 }, told: [{ requestTimeout: 300_000 }] },
  { what: 'a deadline for silence that is shorter than ours', fastify: { connectionTimeout: 1_000 }, told: [{ connectionTimeout: 1_000 }] },
  { what: 'a deadline for silence that is longer than ours', fastify: { connectionTimeout: 10_000_000 }, told: [] },
  { what: 'both', fastify: { requestTimeout: 1_000, connectionTimeout: 1_000 }, told: [{ requestTimeout: 1_000 }, { connectionTimeout: 1_000 }] },
  { what: 'a deadline for handlers, which does not hold here', fastify: { handlerTimeout: 1_000 } as FastifyServerOptions, told: [] }
]

for (const { what, fastify, told } of WARNINGS) {
  test(`${what}: ${told.length === 0 ? 'no warning' : `a warning that names ${told.map((option) => Object.keys(option)).join(' and ')}`}`, async (t) => {
    const root = await temporaryFolder(t)
    const { log } = await startServer(t, { root, spawner: { processes: 0 } }, { fastify })
    const warnings = log.filter(({ level }) => level === 40)
    assert.equal(warnings.length, told.length, JSON.stringify(warnings))
    for (const [i, option] of told.entries()) {
      const [[name, value]] = Object.entries(option) as [[string, number]]
      assert.equal(warnings[i]?.[name], value)
      assert.match(String(warnings[i]?.['msg']), new RegExp(`${name} .*set it to 0$`))
    }
  })
}

test('a push that takes longer than the handlerTimeout succeeds', async (t) => {
  const [root, folder] = [await temporaryFolder(t), await temporaryFolder(t)]
  const served = await makeRepository(root, 'app.git')
  await writeFile(join(served, 'hooks/pre-receive'), `#!/bin/sh\ntouch ${folder}/reached\nwhile [ ! -e ${folder}/go ]; do sleep 0.05; done\n`, { mode: 0o755 })
  const work = await makeWorkingCopy(folder, 'work')
  const { port, url } = await startServer(t, { root, publicWrite: true }, { fastify: { handlerTimeout: 150 } as FastifyServerOptions })
  const { head, pack } = await pushBody(work, await git(['rev-parse', 'HEAD'], { cwd: work }), { commands: [{ ref: 'refs/heads/slow' }], capabilities: 'report-status' })
  const post = await OpenPost.open(port, '/app.git', 'receive-pack')
  post.send(head)
  await sleep(300)
  post.send(pack)
  await eventually(async () => (await readdir(folder)).includes('reached'), 10_000, 'the hook runs')
  await sleep(300)
  await writeFile(join(folder, 'go'), '')
  const answer = await post.end()
  assert.match(answer, /^HTTP\/1\.1 200 [^]*unpack ok[^]*ok refs\/heads\/slow/)
  assert.match(await git(['ls-remote', `${url}/app.git`]), /refs\/heads\/slow/)
})
