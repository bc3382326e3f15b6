/** What a client sees that gets no git now. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { git, tryGit } from '../../fixtures/git.ts'
import { getRaw } from '../../fixtures/raw.ts'
import { commitRandom, makeWorkingCopy } from '../../fixtures/repository.ts'
import { errorsIn, limitScene } from './scene.ts'

const NO_QUEUE = { maxConcurrent: 1, maxQueued: 0 }
const BUSY = 'The server is busy, try again'

for (const [why, limits] of [
  ['nobody may wait', NO_QUEUE],
  ['it waited too long', { maxConcurrent: 1, queueTimeout: 50 }]
] as const) {
  test(`a GET when ${why}: 503 with Retry-After, and git prints why`, async (t) => {
    const scene = await limitScene(t, { limits })
    await scene.occupy()
    for (const service of ['git-upload-pack', 'git-receive-pack']) {
      const { status, headers, body } = await getRaw(scene.port, `/app.git/info/refs?service=${service}`)
      assert.equal(status, 503)
      assert.match(headers['retry-after'] ?? '', /^(?:[1-9]|[12]\d|30)$/)
      assert.equal(headers['content-type'], 'text/plain; charset=utf-8')
      assert.equal(headers['cache-control'], 'no-cache, max-age=0, must-revalidate')
      assert.equal(body.toString(), `${BUSY}\n`)
    }
    const { code, stderr } = await tryGit(['ls-remote', `${scene.url}/app.git`])
    assert.equal(code, 128)
    assert.match(stderr, new RegExp(`^remote: ${BUSY}\\s`, 'm'))
    assert.deepEqual(errorsIn(scene), [])
    await scene.finish()
    await git(['ls-remote', `${scene.url}/app.git`])
  })
}

for (const version of [0, 2]) {
  test(`a clone by protocol ${version} that gets no git prints why`, async (t) => {
    const scene = await limitScene(t, { limits: NO_QUEUE, cache: {} })
    const clone = ['-c', `protocol.version=${version}`, 'clone', '--quiet', `${scene.url}/app.git`, join(scene.folder, 'clone')]
    await git(['-c', `protocol.version=${version}`, 'ls-remote', `${scene.url}/app.git`])
    await scene.occupy()
    const { code, stderr } = await tryGit(clone)
    assert.equal(code, 128)
    assert.match(stderr, new RegExp(`remote error: ${BUSY}`))
    assert.deepEqual(errorsIn(scene), [])
    await scene.finish()
    await git(clone)
  })
}

for (const [size, bytes] of Object.entries({ small: 10, 'large and chunked': 3 * 1024 * 1024 })) {
  test(`a push (${size}) that gets no git prints why, and nothing of it is applied`, async (t) => {
    const scene = await limitScene(t, { limits: NO_QUEUE, cache: {} })
    const work = await makeWorkingCopy(scene.folder, 'work')
    await commitRandom(work, 'file', bytes)
    const push = ['push', `${scene.url}/app.git`, 'main:refs/heads/pushed']
    await git([...push, '--dry-run'], { cwd: work })
    await scene.occupy()
    const { code, stderr } = await tryGit(push, { cwd: work })
    assert.equal(code, 1, stderr)
    assert.match(stderr, new RegExp(`unpack failed: ${BUSY}`))
    assert.match(stderr, /! \[remote (?:rejected|failure)\] +main -> pushed/)
    assert.deepEqual(errorsIn(scene), [])
    assert.doesNotMatch(await git(['for-each-ref'], { cwd: join(scene.root, 'app.git') }), /pushed/)
    await scene.finish()
    await git(push, { cwd: work })
  })
}
