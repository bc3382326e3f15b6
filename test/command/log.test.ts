import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { withoutUserInfo } from '../../lib/command/log.ts'
import { COMMAND, startCommand } from '../fixtures/command.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { getRaw, sendRaw } from '../fixtures/raw.ts'
import { makeRepository } from '../fixtures/repository.ts'

test('no log line holds credentials, at any level', async (t) => {
  const folder = await temporaryFolder(t)
  await makeRepository(folder, 'app.git')
  const broken = await makeRepository(folder, 'broken.git')
  await writeFile(join(broken, 'config'), '[core\n')
  const accessFile = join(await temporaryFolder(t), 'access.ini')
  await writeFile(accessFile, '[users]\nann = 40bd001563085fc35165329ea1ff5c5ecbdbbeef\n')
  const server = await startCommand(t, ['--root', folder, '--access-file', accessFile, '--log-level', 'trace'])
  const header = (password: string): string => `Authorization: Basic ${Buffer.from(`ann:${password}`).toString('base64')}`
  const refs = '/info/refs?service=git-upload-pack'
  const { port } = server

  assert.equal((await getRaw(port, `/app.git${refs}`, [header('123')])).status, 200)
  assert.equal((await getRaw(port, `/app.git${refs}`, [header('456sesame')])).status, 401)
  assert.equal((await getRaw(port, `/broken.git${refs}`, [header('123')])).status, 500)
  assert.equal((await getRaw(port, `http://ann:pass123@localhost:${port}/app.git${refs}`)).status, 200)
  assert.equal((await getRaw(port, `http://ann:pass123@localhost:${port}/other`)).status, 404)
  assert.equal((await getRaw(port, `http://ann:pa/ss123@localhost:${port}/none`)).status, 400)
  assert.equal((await getRaw(port, '//ann:pass123@localhost/none')).status, 404)
  assert.equal((await getRaw(port, '/%zz', [header('123')])).status, 400)
  assert.equal((await sendRaw(port, `GET /last HTTP/1.1\r\nHost: ann:pass123@x\r\nConnection: close\r\n${header('123')}\r\n\r\n`)).status, 404)
  assert.equal((await sendRaw(port, `GET / HTTP/1.1\r\nHost: x\r\n${header('123')}\r\nContent-Length: x\r\n\r\n`)).status, 400)
  await server.logged('"url":"/last"')
  await server.logged('client error')

  const log = server.log()
  for (const line of log.trimEnd().split('\n')) JSON.parse(line)
  for (const secret of ['123', '456sesame']) {
    assert.ok(!log.includes(Buffer.from(`ann:${secret}`).toString('base64')), 'no header')
    assert.ok(!log.includes([...Buffer.from(`ann:${secret}`).toString('base64')].map((letter) => letter.charCodeAt(0)).join()), 'no header as numbers')
  }
  assert.doesNotMatch(log, /pass123|ss123|ann:|sesame|40bd0015/)
  assert.match(log, /"url":"http:\/\/localhost:\d+\/other/)
})

test('user info is cut out of request targets', () => {
  assert.equal(withoutUserInfo('/a@b?c=d@e'), '/a@b?c=d@e')
  assert.equal(withoutUserInfo('http://host/a'), 'http://host/a')
  assert.equal(withoutUserInfo('HTTP://user:p@ss@host/a'), 'HTTP://host/a')
  assert.equal(withoutUserInfo('//user@host/a'), '//host/a')
})

test('the log is for people on a terminal', { skip: process.platform !== 'linux' && 'script(1) has other options here' }, async (t) => {
  // Without `exec`, a shell would stand between, and some die of the interrupt after the server ended well.
  const command = 'exec ' + [process.execPath, ...COMMAND, '--port', '0', '--root', await temporaryFolder(t)].map((word) => `'${word}'`).join(' ')
  const child = spawn('script', ['--quiet', '--return', '--flush', '--command', command, '/dev/null'])
  t.after(() => { child.kill('SIGKILL') })
  let screen = ''
  let interrupted = false
  await new Promise<void>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      screen += chunk
      if (interrupted || !screen.includes('git clone')) return
      interrupted = true
      child.stdin.write('\x03')
    })
    child.once('close', () => resolve())
  })
  assert.equal(child.exitCode, 0, screen)
  assert.match(screen, /INFO.*Server listening at/)
  assert.doesNotMatch(screen, /"level"/)
})
