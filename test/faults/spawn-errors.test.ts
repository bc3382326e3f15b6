/** The system that does not let git be started, in each of its words: 503 with Retry-After, and the server serves again when it may. */
import assert from 'node:assert/strict'
import childProcess from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { encodePacket } from '../../lib/protocol/pkt-line.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { descriptors, zombies } from '../fixtures/processes.ts'
import { preloadHelpers } from '../fixtures/preload.ts'
import { getRaw, sendRaw } from '../fixtures/raw.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'

/**
 * While the file is there, a `spawn` of git fails with the code that is written in it. Node tells some codes by an event and throws the
 * others (lib/internal/child_process.js, ChildProcess.prototype.spawn).
 */
const FAILING_SPAWN = (file: string): string => `
import childProcess from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
const { spawn } = childProcess
childProcess.spawn = (program, ...rest) => {
  if (program !== 'git' || !existsSync(${JSON.stringify(file)})) return spawn(program, ...rest)
  const code = readFileSync(${JSON.stringify(file)}, 'utf8')
  const fail = (error) => Object.assign(error, { message: 'spawn git ' + code, code })
  if (!['ENOENT', 'EACCES', 'EAGAIN', 'EMFILE', 'ENFILE'].includes(code)) throw fail(new Error())
  const child = spawn(${JSON.stringify(`${file}-nowhere`)}, ...rest)
  const { emit } = child
  child.emit = (name, error, ...more) => emit.call(child, name, name === 'error' ? fail(error) : error, ...more)
  return child
}
syncBuiltinESMExports()
`

const GETS = ['info/refs?service=git-upload-pack', 'info/refs?service=git-receive-pack', 'info/refs', 'HEAD']
const POSTS = [['upload-pack', '0011command=fetch0001000fno-progress0000'], ['receive-pack', `${encodePacket(`${'0'.repeat(40)} ${'ab'.repeat(20)} refs/x/y\0 report-status`).toString()}0000`], ['upload-archive', '0012argument HEAD\n0000']] as const

for (const processes of [0, 1]) {
  for (const code of ['ENOENT', 'EACCES', 'EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM']) {
    test(`${code} (${processes} helpers)`, async (t) => {
      const [root, folder] = [await temporaryFolder(t), await temporaryFolder(t)]
      await makeRepository(root, 'app.git')
      const file = join(folder, 'code')
      const module = join(folder, 'failing.mjs')
      await writeFile(module, FAILING_SPAWN(file))
      const { spawn } = childProcess
      t.after(() => {
        childProcess.spawn = spawn
        syncBuiltinESMExports()
      })
      if (processes === 0) await import(pathToFileURL(module).href)
      else await preloadHelpers(t, folder, module)
      const server = await startServer(t, { root, publicWrite: true, services: { uploadArchive: true }, cache: { answers: false }, spawner: { processes } })
      await git(['ls-remote', `${server.url}/app.git`])
      // Connections of git and the helper are open now.
      await git(['ls-remote', `${server.url}/app.git`])
      const open = (await descriptors()).length

      await writeFile(file, code)
      for (const suffix of GETS) {
        const { status, headers, text } = await getRaw(server.port, `/app.git/${suffix}`)
        assert.equal(status, 503, `${suffix}: ${text}`)
        assert.match(headers['retry-after'] ?? '', /^\d+$/)
        assert.ok(!text.includes(code) && !text.includes(folder))
      }
      for (const [service, body] of POSTS) {
        const { status, text } = await sendRaw(server.port, `POST /app.git/git-${service} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nGit-Protocol: version=2\r\n` +
          `Content-Type: application/x-git-${service}-request\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
        assert.equal(status, 503, `${service}: ${text}`)
      }
      assert.ok(server.log.some(({ err }) => (err as { code?: string } | undefined)?.code === code || String((err as { message?: string } | undefined)?.message).includes(code)), 'the log tells why')
      assert.deepEqual(await zombies(), [])

      await rm(file)
      await git(['clone', '--quiet', `${server.url}/app.git`, join(folder, 'clone')])
      assert.ok((await descriptors()).length <= open, 'no descriptor is left')
      assert.equal(server.app.gitHttp.active, 0)
    })
  }
}
