import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import { AccessFile } from '../../lib/access/access-file.ts'
import { createAccess } from '../../lib/access/authorize.ts'
import { createIdentify } from '../../lib/access/basic-auth.ts'
import { inheritedEnvironment } from '../../lib/git/environment.ts'
import { createDirectStarter } from '../../lib/git/starter.ts'
import { resolveOptions, type GitHttpOptions } from '../../lib/options.ts'
import { createReadConfig } from '../../lib/repository/settings.ts'
import { pageAccess, web } from '../../lib/web/index.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { FakeSource } from './fake-source.ts'

const ANN = { authorization: `Basic ${Buffer.from('ann:secret').toString('base64')}` }
const WRONG = { authorization: `Basic ${Buffer.from('ann:wrong').toString('base64')}` }

interface Scene {
  app: FastifyInstance
  root: string
  source: FakeSource
}

/** Pages with the rights of a git plugin that has these options. */
async function start (t: TestContext, given: (root: string) => Partial<GitHttpOptions>): Promise<Scene> {
  const root = await temporaryFolder(t)
  for (const name of ['open.git', 'private.git', 'team/other.git']) await makeRepository(root, name)
  const options = resolveOptions({ root, ...given(root) })
  const source = new FakeSource()
  const app: FastifyInstance = Fastify()
  const starter = createDirectStarter('git')
  const accessFile = options.accessFile === undefined ? null : await AccessFile.open(options.accessFile, app.log)
  const authenticate = options.authenticate ?? (accessFile === null ? undefined : async ({ username, password }: { username: string, password: string }) => await accessFile.authenticate(username, password))
  await app.register(async (scope) => {
    const rights = pageAccess({
      identify: await createIdentify(scope, authenticate),
      access: createAccess(options, accessFile),
      readConfig: createReadConfig(starter, {}, inheritedEnvironment())
    })
    await scope.register(web, { root, starter, status: source, ...rights })
  })
  t.after(async () => { await app.close() })
  return { app, root, source }
}

const authenticate: GitHttpOptions['authenticate'] = ({ username, password }) => password === 'secret' ? username : null

function namesOn (body: string): string[] {
  return [...body.matchAll(/class="name" href="\/([^"]*)\/"/g)].map(([, name]) => name as string)
}

test('the list shows to each visitor what they could fetch', async (t) => {
  const { app } = await start(t, () => ({
    authenticate,
    authorize: ({ repository, user, access }) => repository === 'open.git' ? access === 'read' || user !== null : user === 'ann' && repository === 'private.git'
  }))
  assert.deepEqual(namesOn((await app.inject('/')).body), ['open.git'])
  assert.deepEqual(namesOn((await app.inject({ url: '/', headers: ANN })).body), ['open.git', 'private.git'])
  assert.deepEqual(namesOn((await app.inject({ url: '/?q=other', headers: ANN })).body), [])
})

test('missing and unreadable are one page, byte for byte', async (t) => {
  const { app } = await start(t, () => ({ authenticate, authorize: ({ repository, user }) => user === 'ann' && repository === 'private.git' ? true : 'hide' }))
  for (const headers of [{}, ANN]) {
    const [missing, unreadable, suffix] = await Promise.all(['/nothing.git/', '/team/other.git/', '/team/other'].map(async (url) => {
      const { statusCode, body, headers: { date, ...rest } } = await app.inject({ url, headers })
      return { statusCode, body, rest }
    }))
    assert.equal(missing?.statusCode, 404)
    assert.deepEqual(unreadable, missing)
    assert.deepEqual(suffix, missing)
  }
  assert.equal((await app.inject({ url: '/private', headers: ANN })).headers.location, '/private.git/')
})

test('the rights of an access file hold, and who may push is shown how', async (t) => {
  const { app } = await start(t, (root) => ({ accessFile: join(root, 'access.ini'), publicRead: false, ...writeAccess(root) }))
  const anonymous = await app.inject('/')
  assert.deepEqual(namesOn(anonymous.body), ['open.git'])
  assert.deepEqual(namesOn((await app.inject({ url: '/', headers: ANN })).body), ['open.git', 'private.git'])
  assert.match((await app.inject({ url: '/private.git/', headers: ANN })).body, /git remote add origin/)
  const reader = (await app.inject('/open.git/')).body
  assert.doesNotMatch(reader, /git remote add origin/)
  assert.match(reader, /href="\/-\/login\?to=open\.git"/)
})

/** Written before the options are read. */
function writeAccess (root: string): Record<string, never> {
  const sha1 = 'e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4' // secret
  writeFileSync(join(root, 'access.ini'), `[users]\nann = ${sha1}\n[access]\nanonymous = open=r\nann = open=r,private=rw\n`)
  return {}
}

test('a service that is turned off for a repository closes its page, unless its files are served', async (t) => {
  const { app, root } = await start(t, () => ({}))
  await git(['config', 'http.uploadpack', 'false'], { cwd: join(root, 'private.git') })
  assert.equal((await app.inject('/private.git/')).statusCode, 200)
  await git(['config', 'http.getanyfile', 'false'], { cwd: join(root, 'private.git') })
  assert.equal((await app.inject('/private.git/')).statusCode, 404)
  assert.deepEqual(namesOn((await app.inject('/')).body), ['open.git', 'team/other.git'])
})

test('logging in: a challenge at the top, and back; a wrong password is asked for again; logging out', async (t) => {
  const { app } = await start(t, () => ({ authenticate, authorize: ({ user }) => user === 'ann' }))
  assert.match((await app.inject('/')).body, /<a href="\/-\/login">Log in<\/a>/)
  const away = await app.inject('/-/login?to=private.git')
  assert.deepEqual([away.statusCode, away.headers.location], [302, '/?login=&to=private.git'])
  const asked = await app.inject('/?login=&to=private.git')
  assert.deepEqual([asked.statusCode, asked.headers['www-authenticate']], [401, 'Basic realm="git", charset="UTF-8"'])
  const back = await app.inject({ url: '/?login=&to=private.git', headers: ANN })
  assert.deepEqual([back.statusCode, back.headers.location], [302, '/private.git/'])
  for (const to of ['//evil.example', '/\\evil', 'https:%2F%2Fevil.example', '..']) {
    assert.match((await app.inject({ url: `/?login=&to=${to}`, headers: ANN })).headers.location as string, /^\/(?:https%3A)?$|^\/$/, to)
  }
  const wrong = await app.inject({ url: '/private.git/', headers: WRONG })
  assert.deepEqual([wrong.statusCode, wrong.headers['www-authenticate']], [401, 'Basic realm="git", charset="UTF-8"'])
  assert.match((await app.inject({ url: '/', headers: ANN })).body, /<bdi>ann<\/bdi><\/span> <a href="\/-\/logout">/)
  assert.equal((await app.inject({ url: '/-/logout', headers: ANN })).statusCode, 401)
  assert.equal((await app.inject('/-/logout')).headers.location, '/')
})

test('the status page tells of operations that the visitor could read, and who does them only to users', async (t) => {
  const { app, source } = await start(t, () => ({ authenticate, authorize: ({ repository, user }) => repository === 'open.git' || (user === 'ann' && repository === 'private.git') }))
  for (const repository of ['open.git', 'private.git', 'team/other.git', 'gone.git']) source.begin({ repository, user: 'dora' })
  const anonymous = (await app.inject('/-/status')).body
  assert.match(anonymous, /href="\/open\.git\/"/)
  assert.doesNotMatch(anonymous, /private|other\.git|gone|dora/)
  const ann = (await app.inject({ url: '/-/status', headers: ANN })).body
  assert.match(ann, /private\.git.*dora/s)
  assert.doesNotMatch(ann, /other\.git|gone/)
})

test('without a source there is no status page, without users no login', async (t) => {
  const root = await temporaryFolder(t)
  const app: FastifyInstance = Fastify()
  await app.register(web, { root, starter: createDirectStarter('git') })
  t.after(async () => { await app.close() })
  const { body } = await app.inject('/')
  assert.doesNotMatch(body, /\/-\/(?:status|login)/)
  for (const url of ['/-/status', '/-/events', '/-/login']) assert.equal((await app.inject(url)).statusCode, 404, url)
})

test('wrong options are named', async (t) => {
  for (const [name, options] of Object.entries({ root: { root: '' }, url: { root: '/', url: 'example.org' }, canRead: { root: '/', canRead: true }, status: { root: '/', status: {} }, realm: { root: '/', realm: '"' } })) {
    const app: FastifyInstance = Fastify()
    t.after(async () => { await app.close() })
    await assert.rejects(async () => await app.register(web, options as never), (error: Error & { code: string }) => error.code === 'FST_GIT_INVALID_OPTION' && error.message.includes(`'${name}'`))
  }
})
