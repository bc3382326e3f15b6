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
  assert.match(table, /\| 4 full clones \| 4 \|/)
  assert.match(picture, /^<svg/)
  assert.match(stderr, /full clones: 4/)
  assert.equal(await git(['for-each-ref', '--format=%(refname)'], { cwd: served }), 'refs/heads/main', 'the branch is removed')
})

test('without --push nothing is pushed; what fails is counted and explained', async (t) => {
  const root = await temporaryFolder(t)
  const { url } = await startServer(t, { root })
  const output = await temporaryFolder(t)
  const { code, stdout } = await bench(['--url', `${url}/none.git`, '--clones', '2', '--discoveries', '3', '--output', output])
  assert.equal(code, 1)
  assert.match(stdout, /\| 2 full clones \|.*\| 2 \|\n/)
  assert.match(stdout, /The first of the full clones that failed: `.*not found/i)
  assert.doesNotMatch(stdout, /push/)
})

test('a wrong command line is explained', async () => {
  assert.match((await bench([])).stderr, /--url is missing/)
  assert.match((await bench(['--url', 'file:///x'])).stderr, /only http and https/)
  assert.match((await bench(['--url', 'http://localhost/', '--clones', '0'])).stderr, /--clones must be/)
})
