import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import fastifyStatic from '@fastify/static'
import Fastify from 'fastify'
import gitHttp from '../../lib/index.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'

test('a JSON API, a static site and a wildcard page live under the same prefix', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const site = join(root, 'site')
  await mkdir(site)
  await writeFile(join(site, 'index.html'), '<h1>site</h1>')

  const { url } = await startServer(t, { root, prefix: '/git' }, {
    before: (app) => {
      app.post('/git/api/echo', async (request) => ({ got: request.body }))
      app.get('/git/*', async (request) => ({ page: request.url }))
      app.setErrorHandler((error, _request, reply) => reply.code(418).send({ host: (error as Error).message }))
    },
    after: async (app) => {
      await app.register(fastifyStatic, { root: site, prefix: '/git/site/' })
      app.get('/git/broken', async () => { throw new Error('of the host') })
    }
  })

  const echo = await fetch(`${url}/api/echo`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"a":1}' })
  assert.deepEqual(await echo.json(), { got: { a: 1 } })
  assert.equal(await (await fetch(`${url}/site/index.html`)).text(), '<h1>site</h1>')
  assert.deepEqual(await (await fetch(`${url}/app.git/tree/main?x=/info/refs`)).json(), { page: '/git/app.git/tree/main?x=/info/refs' })
  assert.deepEqual(await (await fetch(`${url}/info`)).json(), { page: '/git/info' })
  assert.deepEqual(await (await fetch(`${url}/broken`)).json(), { host: 'of the host' })
  assert.match(await git(['ls-remote', `${url}/app.git`]), /refs\/heads\/main/)
})

test('two registrations under two prefixes keep their own roots and rules', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(join(root, 'one'), 'app.git')
  await makeRepository(join(root, 'two'), 'lib.git')
  const { app, port } = await startServer(t, { root: join(root, 'one'), prefix: '/one' }, {
    after: async (app) => { await app.register(gitHttp, { root: join(root, 'two'), prefix: '/two', publicRead: false, authenticate: () => null }) }
  })
  const url = `http://127.0.0.1:${port}`
  assert.match(await git(['ls-remote', `${url}/one/app.git`]), /refs\/heads\/main/)
  assert.match((await tryGit(['ls-remote', `${url}/one/lib.git`])).stderr, /not found/)
  assert.match((await tryGit(['ls-remote', `${url}/two/lib.git`])).stderr, /could not read Username/)
  assert.equal(app.gitHttp.active, 0)
})

test('inside a scope with a prefix of its own, and with hooks of the host in front', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const app = Fastify()
  t.after(async () => { await app.close() })
  await app.register(async (scope) => {
    scope.addHook('onSend', async (_request, reply) => { reply.header('x-host', 'yes') })
    await scope.register(gitHttp, { root, prefix: '/git' })
  }, { prefix: '/api' })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.addresses()[0] as { port: number }
  const response = await fetch(`http://127.0.0.1:${port}/api/git/app.git/info/refs?service=git-upload-pack`)
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('x-host'), 'yes')
  assert.equal((await fetch(`http://127.0.0.1:${port}/git/app.git/HEAD`)).status, 404)
})

test('resolve maps paths to folders anywhere, or to nothing', async (t) => {
  const folder = await temporaryFolder(t)
  const path = await makeRepository(folder, 'store-17')
  const { url } = await startServer(t, { resolve: (name) => name === 'team/app' ? path : null })
  assert.match(await git(['ls-remote', `${url}/team/app`]), /refs\/heads\/main/)
  assert.match((await tryGit(['ls-remote', `${url}/store-17`])).stderr, /not found/)
})

test('services and the repository\'s own http.* settings turn services off and on', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git')
  const { url } = await startServer(t, { root })
  const status = async (path: string): Promise<number> => (await fetch(`${url}/app.git/${path}`)).status
  const set = async (key: string, value: string): Promise<string> => await git(['config', key, value], { cwd: served })

  assert.equal(await status('info/refs?service=git-receive-pack'), 403)
  await set('http.receivepack', 'true')
  assert.equal(await status('info/refs?service=git-receive-pack'), 200, 'config opens it for anonymous clients')
  await set('http.receivepack', 'off')
  assert.equal(await status('info/refs?service=git-receive-pack'), 403, 'the next request sees the change')
  await set('http.uploadpack', 'false')
  assert.equal(await status('info/refs?service=git-upload-pack'), 403)
  assert.equal(await status('HEAD'), 200)
  await set('http.getanyfile', 'no')
  assert.equal(await status('HEAD'), 403)
  assert.equal(await status('info/refs'), 403)
  await set('http.getanyfile', 'maybe')
  assert.equal(await status('HEAD'), 500, 'a typo opens nothing')

  const off = await startServer(t, { root, services: { dumb: false, uploadPack: false } })
  await git(['config', '--unset-all', 'http.uploadpack'], { cwd: served })
  await git(['config', '--unset-all', 'http.getanyfile'], { cwd: served })
  assert.equal((await fetch(`${off.url}/app.git/HEAD`)).status, 403)
  assert.equal((await fetch(`${off.url}/app.git/info/refs?service=git-upload-pack`)).status, 403)
})

test('exportAll: false serves only what says so', async (t) => {
  const root = await temporaryFolder(t)
  const open = await makeRepository(root, 'open.git')
  await makeRepository(root, 'closed.git')
  await writeFile(join(open, 'git-daemon-export-ok'), '')
  const { url } = await startServer(t, { root, exportAll: false })
  assert.match(await git(['ls-remote', `${url}/open.git`]), /refs\/heads\/main/)
  assert.match((await tryGit(['ls-remote', `${url}/closed.git`])).stderr, /not found/)
})

test('git.config is stronger than the repository\'s config', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const { url } = await startServer(t, { root, git: { config: { 'transfer.hideRefs': 'refs/heads' } } })
  assert.doesNotMatch(await git(['ls-remote', `${url}/app.git`]), /refs\/heads\/main/)
})

test('upload-archive, once turned on, answers with an archive', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const body = '0012argument HEAD\n0000'
  const post = async (url: string): Promise<Response> => await fetch(`${url}/app.git/git-upload-archive`, {
    method: 'POST', headers: { 'content-type': 'application/x-git-upload-archive-request' }, body
  })
  const off = await startServer(t, { root })
  assert.equal((await post(off.url)).status, 403)
  const on = await startServer(t, { root, services: { uploadArchive: true }, git: { config: { 'http.uploadarchive': 'true' } } })
  const response = await post(on.url)
  const bytes = Buffer.from(await response.arrayBuffer())
  assert.equal(response.headers.get('content-type'), 'application/x-git-upload-archive-result')
  assert.ok(bytes.includes('ACK\n') && bytes.includes('ustar') && bytes.includes('file-1.txt'))
})
