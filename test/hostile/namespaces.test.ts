/** The option `namespace`: what git would die of is the host's mistake, and is told to the host alone. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { tryGit } from '../fixtures/git.ts'
import { assertDiscreet, makeStage, send, serve } from './helpers.ts'

const ACCEPTED = ['a', '/a', '//a', 'a//b', 'a/b/c', '@', '-a', '{', 'a./b', 'é', '\u00a0', 'a.locked', 'refs/heads/main', 'HEAD']
const REFUSED = [
  'a/', '/', '//', 'a//', '.a', 'a/.a', '.', 'a/./b', '..', '../a', 'a/../b', 'a..b', 'a.', 'a.lock', 'a.lock/b', 'a/.lock', 'a/b.lock',
  'a b', 'a\tb', 'a\nb', 'a\u007fb', 'a~b', 'a^b', 'a:b', 'a?b', 'a*b', 'a[b', 'a\\b', '@{', 'a@{1}'
]

test('a namespace is accepted exactly when git accepts it', async (t) => {
  const stage = await makeStage(t)
  const repository = join(stage.root, 'app.git')
  let namespace = ''
  const server = await serve(t, stage, { publicWrite: true, namespace: () => namespace })
  for (const isAccepted of [true, false]) {
    for (const value of isAccepted ? ACCEPTED : REFUSED) {
      await t.test(`${JSON.stringify(value)} is ${isAccepted ? 'one' : 'none'}`, async () => {
        const oracle = await tryGit(['upload-pack', '--advertise-refs', repository], { env: { GIT_NAMESPACE: value } })
        assert.deepEqual([oracle.code, oracle.stderr.includes('bad git namespace')], isAccepted ? [0, false] : [128, true], oracle.stderr)
        namespace = value
        for (const service of ['git-upload-pack', 'git-receive-pack']) {
          server.log.length = 0
          const response = await send(server.port, 'GET', `/git/app.git/info/refs?service=${service}`)
          assertDiscreet(stage, response, value)
          const reasons = server.log.filter(({ level }) => Number(level) >= 50).map(({ err }) => (err as Error).message)
          assert.deepEqual([response.status, reasons], isAccepted ? [200, []] : [500, ['not a namespace']], response.text)
          if (!isAccepted) assert.match(response.text, /\n\r\nInternal error \(request [^)]+\)\n$/)
        }
      })
    }
  }
})
