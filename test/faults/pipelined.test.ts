import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { eventually } from '../fixtures/processes.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'

const GET = (path: string): string => `GET /app.git/${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

for (const [what, path] of [['files', 'objects/info/packs'], ['missing files', `objects/ab/${'cd'.repeat(19)}`], ['gits', 'HEAD'], ['advertisements', 'info/refs?service=git-upload-pack']] as const) {
  for (const end of ['', 'garbage\r\n\r\n']) {
    // Node tells only the response that has the connection of its end (found by fuzzing).
    test(`twenty requests for ${what} that a client sends at once${end === '' ? '' : ', with garbage behind them,'} are over when it has gone`, async (t) => {
      const root = await temporaryFolder(t)
      await makeRepository(root, 'app.git')
      const { port, app, log } = await startServer(t, { root })
      const warnings: Error[] = []
      const warn = (warning: Error): void => { warnings.push(warning) }
      process.on('warning', warn)
      t.after(() => process.off('warning', warn))
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      const begun = new Promise<void>((resolve) => { app.server.on('request', () => resolve()) })
      socket.end(GET(path).repeat(20) + end)
      await begun
      socket.destroy()
      await eventually(async () => app.gitHttp.active === 0, 3_000, 'the operations end')
      assert.deepEqual(log.filter(({ level }) => Number(level) >= 50), [])
      assert.deepEqual(warnings.map(({ message }) => message), [])
    })
  }
}
