import assert from 'node:assert/strict'
import fs from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import cors from '@fastify/cors'
import isomorphicGit from 'isomorphic-git'
import http, { type GitHttpRequest, type GitHttpResponse } from 'isomorphic-git/http/node'
import { git } from '../fixtures/git.ts'
import { sendRaw } from '../fixtures/raw.ts'
import { history } from '../fixtures/repository.ts'
import { PASSWORD, startTeamServer, USER, type TeamServer } from './team-server.ts'

const ORIGIN = 'https://app.example'
const AUTHOR = { name: 'Ann Author', email: 'ann@example.org' }
const onAuth = (): { username: string, password: string } => ({ username: USER, password: PASSWORD })

/** A host that lets one web application in, as a server of git clients in browsers must. */
async function startCorsServer (t: TestContext): Promise<TeamServer> {
  return await startTeamServer(t, { before: async (app) => { await app.register(cors, { origin: [ORIGIN], credentials: true }) } })
}

/** A client that says where its page came from, as a browser does, and keeps what was answered. */
function browser (): { request: (request: GitHttpRequest) => Promise<GitHttpResponse>, answers: GitHttpResponse[] } {
  const answers: GitHttpResponse[] = []
  const request = async (request: GitHttpRequest): Promise<GitHttpResponse> => {
    const answer = await http.request({ ...request, headers: { ...request.headers, Origin: ORIGIN } })
    answers.push(answer)
    return answer
  }
  return { request, answers }
}

/** What a browser asks of an answer before it shows it to the page. */
function assertVisible (headers: Record<string, string> = {}): void {
  assert.equal(headers['access-control-allow-origin'], ORIGIN)
  assert.match(headers['vary'] ?? '', /(?:^|, )Origin(?:,|$)/)
}

test('isomorphic-git clones, fetches and pushes across origins', async (t) => {
  const server = await startCorsServer(t)
  const client = browser()
  const dir = join(server.folder, 'copy')
  const remote = { fs, http: client, dir, url: `${server.url}/team/app.git`, onAuth, ref: 'main' }

  await isomorphicGit.clone(remote)
  assert.equal(await isomorphicGit.resolveRef({ fs, dir, ref: 'HEAD' }), await git(['rev-parse', 'main'], { cwd: server.repository }))

  await git(['fast-import', '--quiet', '--force'], { cwd: server.repository, input: history('refs/heads/main', 5) })
  const { fetchHead } = await isomorphicGit.fetch(remote)
  assert.equal(fetchHead, await git(['rev-parse', 'main'], { cwd: server.repository }))

  await isomorphicGit.branch({ fs, dir, ref: 'topic', checkout: true })
  await writeFile(join(dir, 'new.txt'), 'from a browser\n')
  await isomorphicGit.add({ fs, dir, filepath: 'new.txt' })
  const commit = await isomorphicGit.commit({ fs, dir, message: 'add new.txt', author: AUTHOR })
  const pushed = await isomorphicGit.push({ ...remote, ref: 'topic' })
  assert.equal(pushed.ok, true)
  assert.equal(await git(['rev-parse', 'topic'], { cwd: server.repository }), commit)
  await git(['fsck', '--strict'], { cwd: server.repository })

  assert.deepEqual([...new Set(client.answers.map(({ statusCode }) => statusCode))].sort(), [200, 401])
  for (const { headers, statusCode } of client.answers) {
    assertVisible(headers)
    if (statusCode === 200) assert.match(headers?.['vary'] ?? '', /(?:^|, )Authorization(?:,|$)/)
  }
})

test('a wrong password is refused across origins', async (t) => {
  const server = await startCorsServer(t)
  const client = browser()
  const clone = isomorphicGit.clone({
    fs,
    http: client,
    dir: join(server.folder, 'copy'),
    url: `${server.url}/team/app.git`,
    onAuth: () => ({ username: USER, password: 'guessed' }),
    onAuthFailure: () => ({ cancel: true })
  })
  await assert.rejects(clone, { code: 'UserCanceledError' })
  assert.deepEqual(client.answers.map(({ statusCode }) => statusCode), [401, 401])
  for (const { headers } of client.answers) assertVisible(headers)
})

for (const [path, method] of [['info/refs?service=git-receive-pack', 'GET'], ['info/refs', 'POST'], ['git-receive-pack', 'POST'], ['git-upload-pack', 'POST']] as const) {
  test(`a preflight for ${method} ${path} is answered without credentials`, async (t) => {
    const server = await startCorsServer(t)
    const { status, headers } = await sendRaw(server.port, [
      `OPTIONS /git/team/app.git/${path} HTTP/1.1`,
      'Host: localhost',
      'Connection: close',
      `Origin: ${ORIGIN}`,
      `Access-Control-Request-Method: ${method}`,
      'Access-Control-Request-Headers: content-type,git-protocol,authorization',
      '', ''
    ].join('\r\n'))
    assert.equal(status, 204)
    assertVisible(headers)
    assert.ok(headers['access-control-allow-methods']?.split(/, */).includes(method), headers['access-control-allow-methods'])
    const allowed = headers['access-control-allow-headers']?.toLowerCase().split(/, */)
    assert.deepEqual(allowed, ['content-type', 'git-protocol', 'authorization'])
    assert.equal(headers['access-control-allow-credentials'], 'true')
  })
}

test('another origin gets no permission', async (t) => {
  const server = await startCorsServer(t)
  const { headers } = await sendRaw(server.port,
    'GET /git/team/app.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: https://evil.example\r\n\r\n')
  assert.equal(headers['access-control-allow-origin'], undefined)
})
