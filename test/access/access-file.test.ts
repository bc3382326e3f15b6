import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { AccessFile } from '../../lib/access/access-file.ts'
import { AccessFileError } from '../../lib/errors.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { opened, recorder, scryptLine, SHA1, type Entry } from './helpers.ts'

const PASSWORD = 'password'

test('users log in and get their rights', async (t) => {
  const { file } = await opened(t, `[users]\nalice = ${scryptLine('secret')}\nOld = ${SHA1}\n[access]\nalice = app=rw\n`)
  assert.equal(await file.authenticate('alice', 'secret'), 'alice')
  assert.equal(await file.authenticate('alice', 'secret'), 'alice')
  assert.equal(await file.authenticate('alice', 'Secret'), null)
  assert.equal(await file.authenticate('Alice', 'secret'), null)
  assert.equal(await file.authenticate('Old', PASSWORD), 'Old')
  assert.equal(await file.authenticate('', ''), null)
  assert.equal(await file.authenticate('__proto__', 'secret'), null)
  assert.equal(await file.rights('alice', 'app.git'), 'write')
  assert.equal(await file.rights(null, 'app'), undefined)
})

test('a SHA-1 hash is warned of once per user and content, and no secret is ever logged', async (t) => {
  const { path, file, log } = await opened(t, `[users]\nalice = ${SHA1}\nbob = {SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\ncarol = ${scryptLine('x')}\n`)
  const texts = (): string[] => log.splice(0).map(({ level, message }) => `${level} ${message}`)
  const warning = (user: string): string =>
    `warn ${user} has a SHA-1 password hash; make a better one with: fastify-git-http passwd ${user}`
  for (const user of ['alice', 'bob', 'carol', 'dave']) await file.authenticate(user, PASSWORD)
  assert.deepEqual(texts(), [warning('alice'), warning('bob')])
  utimesSync(path, 1, 1)
  await file.authenticate('alice', PASSWORD)
  assert.deepEqual(texts(), [], 'the same content under another time')
  writeFileSync(path, `[users]\nalice = ${SHA1}\n`)
  await file.authenticate('alice', 'wrong-password')
  assert.deepEqual(texts(), [warning('alice')])
  writeFileSync(path, `[users]\nalice = ${SHA1}x\n`)
  await file.authenticate('alice', PASSWORD)
  const [{ object, message }] = log.splice(0) as [Entry]
  assert.doesNotMatch(object.err!.stack + message, new RegExp(`${SHA1}|wrong-password`))
  writeFileSync(path, `[users]\nalice = ${SHA1}\n`)
  assert.equal(await file.authenticate('alice', PASSWORD), 'alice')
  assert.deepEqual(texts(), [], 'back at what holds anyway')
})

test('the very next request sees an edit, a new hash included', async (t) => {
  const { path, file } = await opened(t, `[users]\nalice = ${scryptLine('one')}\n`)
  assert.equal(await file.authenticate('alice', 'one'), 'alice')
  writeFileSync(path, `[users]\nalice = ${scryptLine('two')}\n`)
  assert.equal(await file.authenticate('alice', 'one'), null)
  assert.equal(await file.authenticate('alice', 'two'), 'alice')
  writeFileSync(`${path}.new`, '[users]\n[access]\nanonymous = *=r\n')
  renameSync(`${path}.new`, path)
  assert.equal(await file.authenticate('alice', 'two'), null)
  assert.equal(await file.rights(null, 'app'), 'read')
})

test('a file that becomes wrong, empty or missing keeps the rules and is logged once a version', async (t) => {
  const { path, file, log } = await opened(t, '[access]\nu = a=r\n')
  const expectLogged = async (reason: RegExp | null): Promise<void> => {
    for (let round = 0; round < 3; round++) assert.equal(await file.rights('u', 'a'), 'read')
    const entries = log.splice(0)
    assert.equal(entries.length, reason === null ? 0 : 1)
    for (const { level, message } of entries) {
      assert.equal(level, 'error')
      assert.match(message, reason!)
      assert.match(message, /stay in force$/)
    }
  }
  writeFileSync(path, '[access]\nu = a=rw\nv\n')
  await expectLogged(/access\.ini:3: neither/)
  utimesSync(path, 1, 1)
  await expectLogged(null)
  writeFileSync(path, '[access]\n\nu = a=rw\nw\n')
  await expectLogged(/access\.ini:4: neither/)
  writeFileSync(path, '')
  await expectLogged(/the file is empty/)
  rmSync(path)
  await expectLogged(/ENOENT/)
  writeFileSync(path, '[access]\nu = a=r\n')
  await expectLogged(null)
  rmSync(path)
  await expectLogged(/ENOENT/)
  writeFileSync(path, '[access]\nu = a=rw\n')
  assert.equal(await file.rights('u', 'a'), 'write')
  assert.deepEqual(log, [])
})

test('a logger that throws does not stop the following of the file', async (t) => {
  const path = join(await temporaryFolder(t), 'access.ini')
  writeFileSync(path, '[access]\nu = a=r\n')
  const file = await AccessFile.open(path, { warn () {}, error () { throw new Error('log is full') } })
  writeFileSync(path, 'wrong\n')
  await assert.rejects(file.rights('u', 'a'), /log is full/)
  writeFileSync(path, '[access]\nu = a=rw\n')
  assert.equal(await file.rights('u', 'a'), 'write')
})

test('at the start, a file that cannot be used is an error', async (t) => {
  const directory = await temporaryFolder(t)
  const at = (name: string): string => join(directory, name)
  const failsWith = (path: string, reason: RegExp): Promise<void> => assert.rejects(AccessFile.open(path, recorder().logger), error => {
    assert.ok(error instanceof AccessFileError)
    assert.ok(error.message.startsWith(`${path}:`))
    assert.match(error.message, reason)
    return true
  })
  await failsWith(at('missing'), /:0: ENOENT/)
  await failsWith(directory, /:0: not a regular file/)
  execFileSync('mkfifo', [at('pipe')])
  await failsWith(at('pipe'), /:0: not a regular file/)
  writeFileSync(at('wrong'), '[users]\n\nalice = hunter2\n')
  await failsWith(at('wrong'), /:3: not a password hash/)
  writeFileSync(at('latin1'), Buffer.from(`[users]\nJ\u00fcrgen = ${SHA1}\n`, 'latin1'))
  await failsWith(at('latin1'), /:2: .*UTF-8/)
  for (const mark of ['', '\uFEFF']) {
    writeFileSync(at('large'), `${mark}[access]\n${'#'.repeat(1024 * 1024)}\nu = *=rw\n`)
    await failsWith(at('large'), /:2: the file is larger/)
    writeFileSync(at('large'), `${mark}[access]\n${'#'.repeat(1024 * 1024 - 9)}\nu = *=rw\n`)
    await failsWith(at('large'), /: the file is larger/)
  }
})
