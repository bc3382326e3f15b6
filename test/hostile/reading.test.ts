/** What only reads leaves no trace below root, also where a push would create a repository. */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { test } from 'node:test'
import { assertAlive, assertDiscreet, makeStage, ROUTES, send, serve } from './helpers.ts'

const NAMES = ['app.git', 'app', 'new.git', 'new', 'team/new.git', 'app.git/inner.git', '.new-00000000-0000-0000-0000-000000000001', 'a/b/c/d']

test('no GET and no HEAD creates, removes or renames anything below root', async (t) => {
  const stage = await makeStage(t)
  const listing = async (): Promise<string[]> => (await readdir(stage.root, { recursive: true })).sort()
  for (const createOnPush of [true, false]) {
    const server = await serve(t, stage, { publicWrite: true, createOnPush, services: { uploadArchive: true } })
    for (const name of NAMES) {
      for (const { method, suffix } of ROUTES.filter(({ body }) => body === undefined)) {
        await t.test(`${method} ${name}/${suffix}, createOnPush ${createOnPush}`, async () => {
          const before = await listing()
          const response = await send(server.port, method, `/git/${name}/${suffix}`)
          assertDiscreet(stage, response, suffix)
          assert.ok(response.status < 500, response.text)
          assert.deepEqual(await listing(), before)
        })
      }
    }
    await assertAlive(server)
  }
})
