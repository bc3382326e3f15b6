/** Credentials that are none, on every route. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RawResponse } from '../fixtures/raw.ts'
import {
  accessFile, assertAlive, assertDiscreet, authenticate, basic, contentType, makeStage, PASSWORD, ROUTES, send, serve, withoutDate
} from './helpers.ts'

const encoded = (bytes: string | Buffer): string => `Authorization: Basic ${Buffer.from(bytes).toString('base64')}`

/** Header lines; `also` is another good status than 401. */
const WRONG: Array<{ headers: string[], why: string, also?: number }> = [
  { headers: ['Authorization: Basic'], why: 'a scheme without anything' },
  { headers: ['Authorization: basic'], why: 'the same in lower case' },
  { headers: ['Authorization: BASIC bm9ib2R5Ong='], why: 'a scheme in upper case, and nobody' },
  { headers: ['Authorization: Basic\tbm9ib2R5Ong='], why: 'a tab behind the scheme, and nobody' },
  { headers: ['Authorization:    Basic     bm9ib2R5Ong='], why: 'many spaces, and nobody' },
  { headers: ['Authorization: Basic !!!'], why: 'no base64' },
  { headers: ['Authorization: Basic Og'], why: 'an empty name and no padding' },
  { headers: ['Authorization: Basic YWxpY2U6Y29y cmVjdA=='], why: 'a space within the base64' },
  { headers: [`Authorization: Basic ${'='.repeat(4_000)}`], why: 'padding without end' },
  { headers: [encoded('al:ice:wrong')], why: 'two colons: the first one ends the name' },
  { headers: [encoded(Buffer.from('\ufeffalice:x'))], why: 'a byte order mark in front' },
  { headers: [encoded(Buffer.from(`alice:${PASSWORD}`, 'utf16le'))], why: 'UTF-16' },
  { headers: [encoded(Buffer.from('\xc0\xaf:x', 'latin1'))], why: 'an overlong sign in the name' },
  { headers: ['Authorization: Basic ===='], why: 'nothing but padding' },
  { headers: [encoded('alice')], why: 'no colon' },
  { headers: [encoded('')], why: 'an empty string' },
  { headers: [encoded(':')], why: 'empty name, empty password' },
  { headers: [encoded(`:${PASSWORD}`)], why: 'an empty name' },
  { headers: [encoded('alice:')], why: 'an empty password' },
  { headers: [basic('alice', 'wrong')], why: 'a wrong password' },
  { headers: [basic('mallory', PASSWORD)], why: 'an unknown user' },
  { headers: [basic('ALICE', PASSWORD)], why: 'another case' },
  { headers: [basic('alice ', PASSWORD)], why: 'a space behind the name' },
  { headers: [basic('alice', `${PASSWORD}\n`)], why: 'a newline behind the password' },
  { headers: [basic('alice\0', PASSWORD)], why: 'a NUL behind the name' },
  { headers: [basic('alice', `${PASSWORD}\0`)], why: 'a NUL behind the password' },
  { headers: [`${basic('alice', PASSWORD)} x`], why: 'something behind the credentials' },
  { headers: [`${basic('alice', PASSWORD)},${basic('alice', PASSWORD)}`], why: 'two of them' },
  { headers: [encoded(Buffer.from('alice\xff:x', 'latin1'))], why: 'a name that is not UTF-8' },
  { headers: [encoded(Buffer.from(`alice:${PASSWORD}\xff`, 'latin1'))], why: 'a password that is not UTF-8' },
  { headers: ['Authorization: Basic \xff\xfe\xfd'], why: 'bytes that are no text' },
  { headers: [basic('alice', 'p'.repeat(8_000))], why: 'a very long password' },
  { headers: [basic('a'.repeat(8_000), PASSWORD)], why: 'a very long name' },
  { headers: [basic('alice', 'p'.repeat(48_000))], why: 'a header of 64 kB', also: 431 },
  { headers: [basic('alice', 'wrong'), basic('alice', PASSWORD)], why: 'the wrong ones first: the first header counts' }
]

test('credentials that are wrong get 401 and a challenge, on every route, also where everybody may read', async (t) => {
  const stage = await makeStage(t)
  const server = await serve(t, stage, { authenticate, publicWrite: true, realm: 'the vault', services: { uploadArchive: true } })
  for (const { headers, why, also } of WRONG) {
    await t.test(why, async () => {
      const before = await stage.started()
      for (const { method, suffix, body } of ROUTES) {
        for (const name of ['app.git', 'missing.git']) {
          const target = `/git/${name}/${suffix}`
          const response = await send(server.port, method, target, [contentType(target), ...headers], body)
          assert.ok([401, also].includes(response.status), `${method} ${target}: ${response.text}`)
          if (response.status === 401) assert.equal(response.headers['www-authenticate'], 'Basic realm="the vault", charset="UTF-8"')
          assertDiscreet(stage, response, target)
        }
      }
      assert.deepEqual(await stage.started(), before)
      await assertAlive(server, [basic('alice', PASSWORD)])
    })
  }
  const log = JSON.stringify(server.log)
  for (const { headers } of WRONG) {
    for (const header of headers) {
      const value = header.replace(/^Authorization: Basic ?/i, '')
      if (value.length > 3) assert.ok(!log.includes(value.slice(0, 200)), 'the header is not in the log')
    }
  }
  for (const word of [PASSWORD, 'pppppppp', 'wrong']) assert.ok(!log.includes(word), `${word} is not in the log`)
})

/** What names a user without a proof, or by a proof that is not for us. */
const UNPROVEN: Array<{ headers: string[], target?: string, why: string }> = [
  { headers: [`Proxy-${basic('alice', PASSWORD)}`], why: 'credentials for a proxy' },
  { headers: ['Authorization: Bearer alice'], why: 'a token that nobody asked for' },
  { headers: ['Authorization: Digest username="alice"'], why: 'another scheme' },
  { headers: ['Authorization: Negotiate YWxpY2U='], why: 'the scheme of a single sign-on' },
  { headers: [`Authorization: Basicx ${Buffer.from(`alice:${PASSWORD}`).toString('base64')}`], why: 'a scheme that begins in the same way' },
  { headers: ['Authorization:'], why: 'no scheme' },
  { headers: ['X-Remote-User: alice', 'X-Forwarded-User: alice', 'Remote-User: alice', 'REMOTE_USER: alice'], why: 'headers that some proxies set' },
  { headers: [`Cookie: ${basic('alice', PASSWORD)}`, 'From: alice'], why: 'a cookie' },
  { headers: [], target: '/git/app.git/info/refs?user=alice&REMOTE_USER=alice', why: 'a query' },
  { headers: [], target: `http://alice:${PASSWORD}@localhost/git/app.git/HEAD`, why: 'user information in the target' }
]

test('what names a user without a proof names nobody', async (t) => {
  const stage = await makeStage(t)
  const seen: Array<string | null> = []
  const server = await serve(t, stage, { authenticate, authorize: ({ user }) => { seen.push(user); return user !== null } })
  for (const { headers, target = '/git/app.git/HEAD', why } of UNPROVEN) {
    const { status, headers: got } = await send(server.port, 'GET', target, headers)
    if (target.startsWith('/')) assert.deepEqual([status, got['www-authenticate'] !== undefined], [401, true], why)
    else assert.ok([400, 401, 404].includes(status), why)
  }
  assert.deepEqual([...new Set(seen)], [null])
  // Fastify's own line of a request holds the target as it came; which of it is kept is the host's choice.
  assert.ok(!JSON.stringify(server.log.filter(({ req }) => req === undefined)).includes(PASSWORD), 'user information in a URL is not in our lines of the log')
  assert.equal((await send(server.port, 'GET', '/git/app.git/HEAD', [basic('alice', PASSWORD)])).status, 200)
})

test('an unknown user and a wrong password get the same answer, by authenticate and by access file', async (t) => {
  const stage = await makeStage(t)
  for (const options of [{ authenticate }, await accessFile(stage, '')]) {
    const server = await serve(t, stage, options)
    for (const { method, suffix, body } of ROUTES) {
      const target = `/git/app.git/${suffix}`
      const [unknown, wrong] = await Promise.all([basic('mallory', 'wrong'), basic('alice', 'wrong')]
        .map(async (header) => await send(server.port, method, target, [contentType(target), header], body))) as [RawResponse, RawResponse]
      assert.equal(unknown.status, 401)
      assert.equal(withoutDate(unknown), withoutDate(wrong), target)
    }
    assert.equal((await send(server.port, 'GET', '/git/app.git/HEAD', [basic('alice', PASSWORD)])).status, 200)
  }
})

test('a known user without the right gets 403, which never prompts; nobody else does', async (t) => {
  const stage = await makeStage(t)
  const server = await serve(t, stage, await accessFile(stage, '[access]\nanonymous = *=r\nalice = *=r\n'))
  for (const { method, suffix } of [{ method: 'GET', suffix: 'info/refs?service=git-receive-pack' }, { method: 'POST', suffix: 'git-receive-pack' }]) {
    const target = `/git/app.git/${suffix}`
    const known = await send(server.port, method, target, [contentType(target), basic('alice', PASSWORD)], method === 'POST' ? '0000' : '')
    assert.deepEqual([known.status, known.headers['www-authenticate']], [403, undefined], known.text)
    const anonymous = await send(server.port, method, target, [contentType(target)], method === 'POST' ? '0000' : '')
    assert.equal(anonymous.status, 401)
    assert.ok(anonymous.headers['www-authenticate'])
  }
})
