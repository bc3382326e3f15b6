/** SIGTERM while a clone and a push are under way, by the command: both are finished, nothing new begins, and the exit code is 0. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { readdir } from 'node:fs/promises'
import { test } from 'node:test'
import { startCommand } from '../fixtures/command.ts'
import { fetchV2 } from '../fixtures/fetch-request.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { endOf, openFetch, readSome } from '../fixtures/post-fetch.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { OpenPost, pushBody } from '../fixtures/raw-push.ts'
import { commitRandom, makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'

const MB = 1024 * 1024

test('a clone and a push that are in flight at SIGTERM are both finished, exit code 0', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git', { commits: 0 })
  const work = await makeWorkingCopy(await temporaryFolder(t), 'work')
  // More than the socket buffers between server and client hold.
  const tip = await commitRandom(work, 'big.bin', 40 * MB)
  await git(['push', '--quiet', served, 'main'], { cwd: work })
  const pushed = await commitRandom(work, 'more.bin', MB)
  const server = await startCommand(t, ['--root', root, '--allow-push'])
  const response = await openFetch(`${server.url}/app.git`, fetchV2({ wants: [tip] }))
  await readSome(response, MB)
  const { head, pack } = await pushBody(work, pushed, { commands: [{ ref: 'refs/heads/pushed' }] })
  const post = await OpenPost.open(server.port, '/app.git', 'receive-pack')
  post.send(head)
  const half = pack.length >> 1
  post.send(pack.subarray(0, half))
  await eventually(async () => (await readdir(join(served, 'objects'))).some((name) => name.includes('incoming')), 10_000, 'the push is under way')

  server.child.kill('SIGTERM')
  await server.logged('"transfers":2,"msg":"stopping')
  assert.equal((await fetch(`${server.url}/app.git/info/refs?service=git-upload-pack`)).status, 503)
  post.send(pack.subarray(half))
  assert.match(await post.end(), /^HTTP\/1\.1 200 [^]*ok refs\/heads\/pushed/)
  assert.equal(server.child.exitCode, null, 'the clone is waited for')
  assert.equal(await endOf(response), 'whole')
  assert.deepEqual((({ code, signal }) => ({ code, signal }))(await server.ended), { code: 0, signal: null })
  assert.equal(await git(['rev-parse', 'refs/heads/pushed'], { cwd: served }), pushed)
  await git(['fsck', '--full'], { cwd: served })
  assert.deepEqual(await processesAbout(root), [])
  assert.deepEqual((await readdir(served, { recursive: true })).filter((name) => /tmp_|incoming-|\.lock$/.test(name)), [])
})
