import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { readArguments } from '../../lib/command/arguments.ts'
import { createLog } from '../../lib/command/log.ts'
import { createApp } from '../../lib/command/server.ts'
import { selfSigned } from '../fixtures/certificate.ts'
import { temporaryFolder } from '../fixtures/folder.ts'

test('no timeout cuts a long push, over HTTP and HTTPS, but headers have to come in time', async (t) => {
  const folder = await temporaryFolder(t)
  const { cert, key } = selfSigned()
  await writeFile(join(folder, 'cert.pem'), cert)
  await writeFile(join(folder, 'key.pem'), key)
  for (const args of [[], ['--tls-cert', join(folder, 'cert.pem'), '--tls-key', join(folder, 'key.pem')]]) {
    const command = readArguments(['--root', folder, ...args])
    assert.ok(command.run === 'serve')
    const { app } = await createApp(command.settings, { log: createLog('silent', false) })
    t.after(async () => { await app.close() })
    const { requestTimeout, headersTimeout, keepAliveTimeout, timeout } = app.server as Server
    assert.deepEqual({ requestTimeout, headersTimeout, keepAliveTimeout, timeout },
      { requestTimeout: 0, headersTimeout: 60_000, keepAliveTimeout: 72_000, timeout: 0 })
  }
})
