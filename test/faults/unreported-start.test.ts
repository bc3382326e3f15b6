import assert from 'node:assert/strict'
import { access, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { preloadHelpers } from '../fixtures/preload.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { getRaw, sendRaw } from '../fixtures/raw.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'

/**
 * Loaded into every helper: the first `spawn` that any of them makes is its last act, so that the server never hears of
 * the git that runs already.
 */
const DIES_AFTER_SPAWN = (marker: string): string => `
import childProcess from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
const { spawn } = childProcess
childProcess.spawn = (...given) => {
  const child = spawn(...given)
  if (process.argv[1]?.includes('spawner-process') && existsSync(${JSON.stringify(marker)}) && !existsSync(${JSON.stringify(`${marker}-done`)})) {
    writeFileSync(${JSON.stringify(`${marker}-done`)}, String(child.pid))
    process.kill(process.pid, 'SIGKILL')
  }
  return child
}
syncBuiltinESMExports()
`

async function withDyingHelpers (t: TestContext, folder: string): Promise<string> {
  const marker = join(folder, 'armed')
  const module = join(folder, 'dies.mjs')
  await writeFile(module, DIES_AFTER_SPAWN(marker))
  await preloadHelpers(t, folder, module)
  return marker
}

const POST = (service: string): string =>
  `POST /app.git/git-${service} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-git-${service}-request\r\nContent-Length: 8\r\n\r\n00000000`

for (const [name, ask] of [
  ['an advertisement', async (port: number) => await getRaw(port, '/app.git/info/refs?service=git-upload-pack')],
  ['a fetch', async (port: number) => await sendRaw(port, POST('upload-pack'))],
  ['a push', async (port: number) => await sendRaw(port, POST('receive-pack'))]
] as const) {
  // Its connections are closed with the helper: it reads an end, or dies of SIGPIPE. It was given nothing to work on,
  // because the server sends a body only once it knows of the git.
  test(`${name}: a git whose helper died before it told of it ends by itself`, async (t) => {
    const root = await temporaryFolder(t)
    const folder = await temporaryFolder(t)
    const served = await makeRepository(root, 'app.git')
    const marker = await withDyingHelpers(t, folder)
    const server = await startServer(t, { root, publicWrite: true, cache: { answers: false }, spawner: { processes: 1 } })
    // What is asked first of a repository, its config, is not what this is about.
    assert.equal((await getRaw(server.port, '/app.git/info/refs?service=git-upload-pack')).status, 200)
    await writeFile(marker, '')
    assert.equal((await ask(server.port)).status, 503)
    await access(`${marker}-done`)
    await eventually(async () => (await processesAbout(served)).length === 0, 2_000, 'the unknown git ends')
    await git(['clone', '--quiet', `${server.url}/app.git`, join(folder, 'clone')])
  })
}
