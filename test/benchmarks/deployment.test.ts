import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { LOADER, programPath } from '../fixtures/program.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'

const SCRIPT = programPath('../../benchmarks/deployment', import.meta.url)

async function bench (args: string[]): Promise<{ code: number, stdout: string, stderr: string }> {
  return await new Promise((resolve) => {
    execFile(process.execPath, [...LOADER, SCRIPT, ...args], { cwd: '/' }, (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }))
  })
}

test('a server is measured: discovery, clones and pushes, as a table and a picture, without the password', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git', { commits: 5 })
  const { urlAs, url } = await startServer(t, { root, publicRead: false, authenticate: ({ username, password }) => password === 'sesame' ? username : null })
  const output = join(await temporaryFolder(t), 'results')
  const { code, stdout, stderr } = await bench(['--url', `${urlAs('ann', 'sesame')}/app.git`, '--clones', '4', '--discoveries', '20', '--push', '--pushes', '2', '--output', output])
  assert.equal(code, 0, stderr)
  assert.deepEqual((await readdir(output)).sort(), ['deployment.json', 'deployment.md', 'deployment.svg'])
  const texts = await Promise.all(['deployment.json', 'deployment.md', 'deployment.svg'].map(async (name) => await readFile(join(output, name), 'utf8')))
  for (const text of [...texts, stdout, stderr]) assert.doesNotMatch(text, /sesame/)
  const [json = '', table = '', picture = ''] = texts
  const { measured, url: measuredUrl } = JSON.parse(json) as { url: string, measured: Array<Record<string, unknown>> }
  assert.equal(measuredUrl, `${url}/app.git`)
  assert.deepEqual(measured.map(({ name, count, failed }) => [name, count, failed]), [['discovery', 20, 0], ['shallow', 4, 0], ['full', 4, 0], ['push', 2, 0]])
  for (const { perSecond, median, slowest } of measured) assert.ok(perSecond as number > 0 && median as number > 0 && slowest as number >= (median as number))
  assert.match(table, /\| 4 full clones +\| +4 \|/)
  assert.match(picture, /^<svg/)
  assert.match(stderr, /full clones: 4/)
  assert.equal(await git(['for-each-ref', '--format=%(refname)'], { cwd: served }), 'refs/heads/main', 'the branch is removed')
})

test('without --push nothing is pushed; what fails is counted and explained', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git', { commits: 5 })
  const { url } = await startServer(t, { root }, {
    before: (app) => { app.addHook('onRequest', async (request, reply) => { if (request.method === 'POST') await reply.code(404).send() }) }
  })
  const output = await temporaryFolder(t)
  const { code, stdout } = await bench(['--url', `${url}/app.git`, '--clones', '2', '--discoveries', '3', '--output', output])
  assert.equal(code, 1)
  assert.match(stdout, /\| 2 full clones +\|.* 2 \|\n/)
  assert.match(stdout, /The first of the full clones that failed: `error: RPC failed; HTTP 404 /)
  assert.doesNotMatch(stdout, /push/)
})

test('a wrong command line is explained', async () => {
  assert.match((await bench([])).stderr, /--url is missing/)
  for (const url of ['file:///x', 'nonsense']) {
    const { code, stderr } = await bench(['--url', url])
    assert.equal(code, 2)
    assert.match(stderr, /only http and https/)
  }
  assert.match((await bench(['--url', 'http://localhost/', '--clones', '0'])).stderr, /--clones must be/)
})

test('what cannot be measured is said at once, in one line without the password', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git', { commits: 1 })
  const server = await startServer(t, {
    root,
    prefix: '/git',
    publicRead: false,
    authenticate: ({ username, password }) => password === 'sesame' ? username : null,
    authorize: ({ access, user }) => user !== null && (access === 'read' || user === 'ann')
  }, {
    before: (app) => {
      app.get('/page/*', async (_request, reply) => await reply.type('text/html').send('<p>welcome'))
      app.get('/old/*', async (request, reply) => await reply.redirect(request.url.replace('/old/', '/page/')))
    }
  })
  const [anonymous, bob] = [server.url, server.urlAs('bob', 'sesame')]
  const origin = anonymous.replace(/\/git$/, '')
  const cases: Array<[string[], RegExp]> = [
    [[`${bob}/none.git`], /^there is no repository at \S+ \(404\): Repository not found\n$/],
    [[`${anonymous}/app.git`], /^reading needs a name and a password: put them into the URL, as in \S+\n$/],
    [[`${server.urlAs('bob', 'wrong')}/app.git`], /^the name or the password is wrong\n$/],
    [[`${bob}/app.git`, '--push'], /^pushing is not allowed \(403\).*; without --push the rest can be measured\n$/],
    [[`${origin}/page/app.git`], /^\S+ is no smart HTTP server of git: it answers with text\/html/],
    [[`${origin}/old/app.git`], /^\S+\/old\/app\.git redirects to \S+\/page\/app\.git; measure that\n$/],
    [['http://127.0.0.1:9/app.git'], /^http:\/\/127\.0\.0\.1:9\/app\.git cannot be reached: /]
  ]
  for (const [[url = '', ...more], said] of cases) {
    const { code, stdout, stderr } = await bench(['--url', url, ...more])
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, said)
    assert.doesNotMatch(stderr, /sesame|wrong@/)
  }
})
