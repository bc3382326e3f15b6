/** Every option is checked when the plugin is registered, and a wrong one is named. */
import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import gitHttp, { errors, type GitHttpOptions } from '../../lib/index.ts'
import { resolveOptions } from '../../lib/options.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { makeStage, send, serve } from './helpers.ts'

const allow = (): boolean => true

/** Values of each option that are refused. `root` is added where the row is about something else. */
const WRONG: Record<string, unknown[]> = {
  prefix: [1, null, true, {}, ['/git']],
  root: [1, null, true, '', {}, ['/srv'], '/srv\0', Buffer.from('/srv'), new URL('file:///srv')],
  resolve: [null, 'x', true, {}],
  publicRead: ['true', 'false', 1, 0, null, {}, []],
  publicWrite: ['true', 'false', 1, 0, null, {}, []],
  realm: ['', 1, null, {}, 'a"b', 'a\\b', 'a\nb', 'a\r\nSet-Cookie: x', 'é', '\x7f'],
  accessFile: ['', 1, null, true, {}],
  authenticate: [null, 'x', true, {}],
  authorize: [null, 'x', true, {}],
  services: [null, true, 'uploadPack', [], 1],
  'services.uploadPack': ['true', 1, null],
  'services.receivePack': ['true', 1, null],
  'services.uploadArchive': ['true', 1, null],
  'services.dumb': ['true', 1, null],
  exportAll: ['true', 1, null],
  createOnPush: ['true', 1, null, {}],
  namespace: [null, 'x', true, {}],
  environment: [null, {}, 'x', { A: 'b' }],
  git: [null, 'git', true, []],
  'git.path': ['', 1, null, {}, 'git\0'],
  'git.config': [null, 'a.b=c', [], { nodot: 'x' }, { 'a.b': 1 }, { 'a.b': null }, { 'a.b=c': 'x' }, { '-c a.b': 'x' }, { '.b': 'x' }, { 'a.': 'x' }, { 'a.b': 'x\0' }, { 'a.x\ny.b': 'x' }, { 'core.a_b': 'x' }, { 'core.1b': 'x' }],
  trustConfig: ['false', 0, null, {}],
  spawner: [null, 2, true, []],
  'spawner.processes': [-1, 65, 1.5, NaN, Infinity, '2', null, true, 2n],
  cache: [null, 1, true, []],
  'cache.answers': [null, 1, true, []],
  limits: [null, 1, true, []],
  'limits.idleTimeout': [0, -1, 1.5, NaN, Infinity, 2 ** 31, '1000', null, true, 10n],
  'limits.closeGrace': [0, -1, 1.5, NaN, Infinity, 2 ** 31, '1000', null, true, 10n],
  'limits.maxConcurrent': [0, -1, 1.5, NaN, Infinity, '1000', null, true, 10n],
  'limits.maxPerRepository': [0, -1, 1.5, NaN, Infinity, '1000', null, true, 10n],
  'limits.maxPerUser': [0, -1, 1.5, NaN, Infinity, '1000', null, true, 10n],
  'limits.maxPushBytes': [0, -1, 1.5, NaN, Infinity, '1000', null, true, 10n],
  'limits.maxNegotiationBytes': [0, -1, 1.5, NaN, Infinity, '1000', null, true, 10n],
  'limits.maxQueued': [-1, 1.5, NaN, Infinity, '1000', null, true, 10n],
  'limits.queueTimeout': [0, -1, 1.5, NaN, Infinity, 2 ** 31, '1000', null, true, 10n],
  'cache.packs': [null, 1, true, []],
  hooks: [null, 1, true, [], allow],
  'hooks.onFetch': [null, 'x', true, {}],
  'hooks.onPush': [null, 'x', true, {}],
  'hooks.preReceive': [null, 'x', true, {}],
  'hooks.postReceive': [null, 'x', true, {}],
  'hooks.onFinish': [null, 'x', true, {}],
  'hooks.transformRequest': [null, 'x', true, {}],
  'hooks.transformResponse': [null, 'x', true, {}],
  'hooks.partial': ['true', 1, null],
  'hooks.deadline': [0, -1, 1.5, NaN, Infinity, 2 ** 31, '1000', null, true],
  'hooks.onpush': [allow],
  // Nobody's option: a typo must not silently leave a repository open.
  public: [true],
  PublicRead: [false],
  'services.uploadpack': [true],
  'services.constructor': [true],
  'limits.idletimeout': [1],
  'git.binary': ['git'],
  constructor: [1],
  toString: [allow],
  hasOwnProperty: [allow]
}

/** `{ 'a.b': 1 }` as `{ a: { b: 1 } }`. */
function nested (name: string, value: unknown): Record<string, unknown> {
  const [outer = '', inner] = name.split('.')
  return inner === undefined ? { [outer]: value } : { [outer]: { [inner]: value } }
}

async function register (options: unknown): Promise<FastifyInstance> {
  const app = Fastify()
  try {
    await app.register(gitHttp, options as GitHttpOptions)
    return app
  } catch (error) {
    await app.close()
    throw error
  }
}

async function refused (options: unknown, name: string): Promise<void> {
  await assert.rejects(register(options), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'FST_GIT_INVALID_OPTION', error.stack)
    assert.ok(error instanceof errors.InvalidOptionError)
    assert.ok(error.message.startsWith(`fastify-git-http: option '${name}' `), error.message)
    return true
  })
}

for (const [name, values] of Object.entries(WRONG)) {
  test(`option ${name} is refused when it is wrong`, async () => {
    const root = name === 'root' || name === 'resolve' ? {} : { root: '/srv' }
    for (const value of values) await refused({ ...root, ...nested(name, value) }, name)
  })
}

test('the bound of remembered answers is checked', async () => {
  for (const maxBytes of [0, -1, 1.5, '1', NaN]) await refused({ root: '/srv', cache: { answers: { maxBytes } } }, 'cache.answers.maxBytes')
  await refused({ root: '/srv', cache: { answers: { bytes: 1 } } }, 'cache.answers.bytes')
})

test('what the cache of packs may use is checked', async () => {
  const wrong: Record<string, unknown[]> = {
    maxMemory: [0, -1, 1.5, '1', NaN],
    directory: ['', 1, null, '/a\0'],
    maxBytes: [0, -1, 1.5, '1', NaN],
    maxAge: [0, -1, 1.5, '1', 2 ** 31],
    minOccurrences: [-1, 1.5, '1', null],
    store: [null, 1, {}, { get: allow }, { get: allow, put: 1 }],
    header: ['true', 1, null],
    maxmemory: [1]
  }
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) await refused({ root: '/srv', cache: { packs: { [name]: value } } }, `cache.packs.${name}`)
  }
})

test('options that a JSON file may hold to confuse objects are unknown', async () => {
  await refused(JSON.parse('{"root":"/srv","__proto__":{"publicWrite":true}}'), '__proto__')
  await refused(JSON.parse('{"root":"/srv","services":{"__proto__":{"receivePack":true}}}'), 'services.__proto__')
})

test('every option is in the table above', () => {
  const known = resolveOptions({ root: '/srv' })
  const described = new Set(Object.keys(WRONG).map((name) => name.split('.')[0]))
  for (const name of Object.keys(known)) assert.ok(described.has(name), name)
  for (const name of Object.keys(known.services)) assert.ok(`services.${name}` in WRONG, name)
  for (const name of Object.keys(known.hooks)) assert.ok(`hooks.${name}` in WRONG, name)
  for (const name of Object.keys(known.limits)) assert.ok(`limits.${name}` in WRONG, name)
  for (const name of Object.keys(known.spawner)) assert.ok(`spawner.${name}` in WRONG, name)
  for (const name of Object.keys(known.git)) assert.ok(`git.${name}` in WRONG, name)
})

test('one of root and resolve is required, and only one', async () => {
  await refused({}, 'root')
  await refused({ root: undefined, resolve: undefined }, 'root')
  await refused({ root: '/srv', resolve: () => null }, 'root')
})

test('accessFile and authenticate exclude each other; an access file that is not there is an error', async (t) => {
  const folder = await temporaryFolder(t)
  const accessFile = join(folder, 'access.ini')
  await refused({ root: folder, accessFile, authenticate: () => null }, 'accessFile')
  await assert.rejects(register({ root: folder, accessFile }), { code: 'FST_GIT_ACCESS_FILE' })
})

test('archives run programs that the config names', async () => {
  await refused({ root: '/srv', trustConfig: false, services: { uploadArchive: true } }, 'services.uploadArchive')
})

test('an option that is undefined is not given', async () => {
  const app = await register({
    root: '/srv', publicRead: undefined, realm: undefined, services: undefined, git: { path: undefined, config: undefined }, limits: { idleTimeout: undefined }
  })
  await app.close()
})

test('what Fastify\'s register reads is no business of ours', async () => {
  const app = await register({ root: '/srv', prefix: '/git', logLevel: 'silent', logSerializers: {} })
  await app.close()
})

test('good values of every option are taken', async () => {
  const good: GitHttpOptions[] = [
    { root: '/srv', prefix: '/git', publicRead: false, publicWrite: true, realm: 'my git', exportAll: false },
    { resolve: async () => null, authenticate: async () => null, authorize: async () => false, createOnPush: async () => false },
    { root: 'relative', services: { uploadPack: false, receivePack: false, uploadArchive: true, dumb: false }, createOnPush: true },
    { root: '/srv', namespace: () => undefined, environment: () => ({}) },
    { root: '/srv', git: { path: './git', config: { 'core.x': '', 'http.https://x.y/.proxy': 'a=b\nc' } }, limits: { idleTimeout: 1, closeGrace: 2 ** 31 - 1 } }
  ]
  for (const options of good) await (await register(options)).close()
})

test('defaults', () => {
  const slots = 2 * availableParallelism()
  assert.deepEqual(resolveOptions({ root: '/srv' }), {
    root: '/srv',
    publicRead: true,
    publicWrite: false,
    realm: 'git',
    services: { uploadPack: true, receivePack: true, uploadArchive: false, dumb: true },
    exportAll: true,
    trustConfig: true,
    git: { path: 'git', config: {} },
    spawner: { processes: 2 },
    cache: { answers: { maxBytes: 67_108_864 }, packs: { header: false } },
    hooks: { partial: false, deadline: 60_000 },
    limits: {
      idleTimeout: 300_000,
      closeGrace: 60_000,
      maxConcurrent: slots,
      maxPerRepository: Math.floor(slots * 3 / 4),
      maxPerUser: Math.floor(slots * 3 / 4),
      maxQueued: 1_000,
      queueTimeout: 30_000,
      maxPushBytes: Infinity,
      maxNegotiationBytes: 10_485_760
    }
  })
  assert.equal(resolveOptions({ root: 'here' }).root, join(process.cwd(), 'here'))
  assert.equal(resolveOptions({ root: '/srv', git: { path: './bin/git' } }).git.path, join(process.cwd(), 'bin/git'))
  assert.deepEqual(resolveOptions({ root: '/srv', services: { dumb: undefined, uploadArchive: true } }).services, { uploadPack: true, receivePack: true, uploadArchive: true, dumb: true })
})

/** What a server without any option but root answers to anybody. */
const DEFAULTS = [
  { method: 'GET', suffix: 'info/refs?service=git-upload-pack', status: 200, why: 'everybody may read' },
  { method: 'GET', suffix: 'info/refs', status: 200, why: 'by the dumb protocol, too' },
  { method: 'GET', suffix: 'info/refs?service=git-receive-pack', status: 403, why: 'nobody may write, and there is nobody to ask for' },
  { method: 'POST', suffix: 'git-receive-pack', status: 403, why: 'by POST neither' },
  { method: 'POST', suffix: 'git-upload-archive', status: 403, why: 'archives are off' }
]

test('defaults as a client sees them', async (t) => {
  const server = await serve(t, await makeStage(t))
  for (const { method, suffix, status, why } of DEFAULTS) {
    const type = `Content-Type: application/x-${suffix}-request`
    const response = await send(server.port, method, `/git/app.git/${suffix}`, method === 'POST' ? [type] : [], method === 'POST' ? '0000' : '')
    assert.equal(response.status, status, `${why}: ${response.text}`)
  }
})
