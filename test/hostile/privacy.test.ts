/** What answers tell about repositories that a client may not see, and to caches on the way. */
import assert from 'node:assert/strict'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { RawResponse } from '../fixtures/raw.ts'
import { makeRepository } from '../fixtures/repository.ts'
import type { GitHttpOptions } from '../../lib/index.ts'
import {
  accessFile, assertDiscreet, authenticate, basic, contentType, looseName, makeStage, PASSWORD, ROUTES, send, serve, withoutDate
} from './helpers.ts'

/** Options of a server on which `app.git` is private, or gone; `headers` of a client that may not read it. */
const PRIVATE: Array<{ what: string, options: GitHttpOptions, headers: string[], file?: string }> = [
  { what: 'anonymous, publicRead false', options: { authenticate, publicRead: false }, headers: [] },
  { what: 'anonymous, publicRead false, authorize false', options: { authenticate, publicRead: false, authorize: () => false }, headers: [] },
  { what: 'anonymous, authorize hides', options: { authorize: () => 'hide' }, headers: [] },
  { what: 'anonymous, authorize hides, publicRead false', options: { publicRead: false, authorize: () => 'hide' }, headers: [] },
  { what: 'a known user, authorize hides', options: { authenticate, authorize: () => 'hide' }, headers: [basic('alice', PASSWORD)] },
  { what: 'anonymous, an access file without a rule for everybody', options: { publicRead: false }, headers: [], file: '[access]\nalice = *=rw\n' },
  { what: 'anonymous, an access file that closes it', options: {}, headers: [], file: '[access]\nanonymous = other=r\n' },
  { what: 'a known user without any right', options: { publicRead: false }, headers: [basic('alice', PASSWORD)], file: '[access]\nalice = other=rw\n' },
  { what: 'nobody may read and nobody can log in', options: { publicRead: false }, headers: [] },
  { what: 'wrong password', options: { authenticate }, headers: [basic('alice', 'wrong')] },
  { what: 'not exported', options: { exportAll: false }, headers: [] }
]

for (const { what, options, headers, file } of PRIVATE) {
  test(`missing and private look alike: ${what}`, async (t) => {
    const stage = await makeStage(t)
    const object = await looseName(join(stage.root, 'app.git'), 'main')
    const users = file === undefined ? {} : await accessFile(stage, file)
    const server = await serve(t, stage, { ...options, ...users, services: { uploadArchive: true } })
    for (const { method, suffix, body } of [...ROUTES, { method: 'GET', suffix: `objects/${object}` }]) {
      const [missing, hidden] = await Promise.all(['missing.git', 'app.git'].map(async (name) => {
        const target = `/git/${name}/${suffix}`
        return await send(server.port, method, target, [contentType(target), ...headers], body)
      })) as [RawResponse, RawResponse]
      // Writing is refused to anybody who may read, and an anonymous client is asked who it is.
      assert.ok([401, 403, 404].includes(missing.status), missing.text)
      assert.equal(withoutDate(hidden), withoutDate(missing), `${method} ${suffix}`)
      assertDiscreet(stage, hidden, suffix)
    }
  })
}

/** What is decided before the repository's config is needed; an answer that took a process would also tell by its time. */
const DECIDED: Array<{ what: string, options: GitHttpOptions, headers: string[], status: number }> = [
  { what: 'anonymous, publicRead false', options: { authenticate, publicRead: false }, headers: [], status: 401 },
  { what: 'authorize hides', options: { authorize: () => 'hide' }, headers: [], status: 404 },
  { what: 'authorize refuses a known user', options: { authenticate, authorize: () => false }, headers: [basic('alice', PASSWORD)], status: 403 },
  { what: 'authorize throws', options: { authorize: () => { throw new Error('boom') } }, headers: [], status: 500 },
  { what: 'wrong password', options: { authenticate }, headers: [basic('alice', 'wrong')], status: 401 }
]

for (const { what, options, headers, status } of DECIDED) {
  test(`a refusal starts no git, whatever the repository's config says: ${what}`, async (t) => {
    const stage = await makeStage(t)
    await appendFile(join(await makeRepository(stage.root, 'broken.git'), 'config'), '[http\n')
    const server = await serve(t, stage, options)
    for (const name of ['app.git', 'broken.git']) {
      for (const suffix of ['info/refs', 'info/refs?service=git-upload-pack', 'HEAD', 'objects/info/packs']) {
        const response = await send(server.port, 'GET', `/git/${name}/${suffix}`, headers)
        assert.equal(response.status, status, `${name}/${suffix}: ${response.text}`)
        assertDiscreet(stage, response, suffix)
      }
    }
    assert.deepEqual(await stage.started(), [])
  })
}

test('no cache shares what a user was given; public packs and objects are public', async (t) => {
  const stage = await makeStage(t)
  const object = `objects/${await looseName(join(stage.root, 'app.git'), 'main')}`
  const everybody = await serve(t, stage, { authenticate })
  const closed = await serve(t, stage, { authenticate, publicRead: false })
  const decided = await serve(t, stage, { authorize: () => true }, { after: (app) => { app.addHook('onRequest', async (_request, reply) => { reply.header('vary', 'Origin') }) } })
  for (const suffix of [object, 'HEAD', 'info/refs', 'info/refs?service=git-upload-pack', 'objects/info/packs']) {
    for (const [server, headers] of [[everybody, [basic('alice', PASSWORD)]], [closed, [basic('alice', PASSWORD)]], [decided, []]] as const) {
      const { status, headers: given } = await send(server.port, 'GET', `/git/app.git/${suffix}`, [...headers])
      assert.equal(status, 200)
      assert.match(given['cache-control'] ?? '', /(?:^|, )private(?:,|$)/, suffix)
      assert.match(given['vary'] ?? '', /(?:^|, )Authorization$/, suffix)
    }
    const open = await send(everybody.port, 'GET', `/git/app.git/${suffix}`)
    assert.doesNotMatch(open.headers['cache-control'] ?? '', /private/)
    if (suffix === object) assert.match(open.headers['cache-control'] ?? '', /^public, max-age=31536000$/)
  }
  assert.doesNotMatch(JSON.stringify(everybody.log), new RegExp(PASSWORD))
})
