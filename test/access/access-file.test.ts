import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import crypto from 'node:crypto'
import fs, { type ReadStream, appendFileSync, mkdtempSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { AccessFile } from '../../lib/access/access-file.ts'
import { AccessFileError } from '../../lib/errors.ts'

const SHA1 = '5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8' // password
const PASSWORD = 'password'
const bare = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '')
const SALT = crypto.randomBytes(16)
/** A scrypt line that is cheap enough for tests. */
const scryptLine = (password: string): string => `$scrypt$N=1024,r=8,p=1$${bare(SALT)}$${bare(crypto.scryptSync(password, SALT, 32, { N: 1024 }))}`

interface Entry { level: string, object: { err?: Error, user?: string }, message: string }

/** An access file in a directory of its own, opened, with what it logs. */
async function opened (t: TestContext, text: string): Promise<{ path: string, file: AccessFile, log: Entry[] }> {
  const path = join(temporary(t), 'access.ini')
  writeFileSync(path, text)
  const { log, logger } = recorder()
  return { path, file: await AccessFile.open(path, logger), log }
}

function temporary (t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'access-file-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return directory
}

function recorder (): { log: Entry[], logger: Record<'warn' | 'error', (object: object, message: string) => void> } {
  const log: Entry[] = []
  const record = (level: string) => (object: object, message: string) => { log.push({ level, object, message }) }
  return { log, logger: { warn: record('warn'), error: record('error') } }
}

/** Replaces a function of node:fs/promises, which imports by name see as well. */
function intercept (t: TestContext, name: 'open' | 'stat', replacement: (original: () => Promise<unknown>) => Promise<unknown>): void {
  const original = fs.promises[name] as (...args: unknown[]) => Promise<unknown>
  const mocked = t.mock.method(fs.promises, name, (...args: unknown[]) => replacement(() => original(...args)))
  syncBuiltinESMExports()
  t.after(() => { mocked.mock.restore(); syncBuiltinESMExports() })
}

/** From here on files are old enough to be judged by their stat alone. */
function later (t: TestContext): void {
  const now = Date.now
  t.mock.method(Date, 'now', () => now() + 60_000)
}

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

test('an edit within the same tick of a coarse clock is seen', async (t) => {
  const { path, file } = await opened(t, '[access]\nu = a=r\n')
  const before = await fs.promises.stat(path, { bigint: true })
  writeFileSync(path, '[access]\nu = b=r\n')
  intercept(t, 'stat', async () => before) // what a file system with such a clock says
  assert.equal(await file.rights('u', 'b'), 'read')
})

test('a file that changes while it is read is read again, but not for ever', async (t) => {
  const { path, file, log } = await opened(t, '[access]\nu = a=r\n')
  const handles: FileHandle[] = []
  let changes = 1
  intercept(t, 'open', async original => {
    const handle = await original() as FileHandle
    handles.push(handle)
    const read = handle.createReadStream.bind(handle)
    handle.createReadStream = options => {
      if (changes-- <= 0) return read(options)
      appendFileSync(path, '# more\n')
      return Readable.from(['[acc']) as ReadStream
    }
    return handle
  })
  writeFileSync(path, '[access]\nu = a=rw\n')
  assert.equal(await file.rights('u', 'a'), 'write')
  assert.equal(log.length, 0)
  assert.equal(handles.length, 2)
  changes = Infinity
  assert.equal(await file.rights('u', 'a'), 'write')
  assert.match(log[0]?.message ?? '', /unknown section/)
  assert.equal(handles.length, 6)
  assert.deepEqual(new Set(handles.map(handle => handle.fd)), new Set([-1]), 'all closed')
})

test('an edit of equal length that keeps the modification time is seen', async (t) => {
  later(t)
  const { path, file } = await opened(t, '[access]\nu = a=r \n')
  utimesSync(path, 1, 1)
  assert.equal(await file.rights('u', 'a'), 'read')
  const { ctimeNs } = statSync(path, { bigint: true })
  // The time of the last change cannot be set; try until the clock has ticked.
  do {
    writeFileSync(path, '[access]\nu = a=rw\n')
    utimesSync(path, 1, 1)
  } while (statSync(path, { bigint: true }).ctimeNs === ctimeNs)
  assert.equal(await file.rights('u', 'a'), 'write')
})

test('a symbolic link that is turned to another file is followed', async (t) => {
  const directory = temporary(t)
  const at = (name: string): string => join(directory, name)
  writeFileSync(at('one'), '[access]\nu = a=r\n')
  writeFileSync(at('two'), '[access]\nu = a=rw\n')
  symlinkSync('one', at('access.ini'))
  const file = await AccessFile.open(at('access.ini'), recorder().logger)
  assert.equal(await file.rights('u', 'a'), 'read')
  symlinkSync('two', at('link'))
  renameSync(at('link'), at('access.ini'))
  assert.equal(await file.rights('u', 'a'), 'write')
})

test('an unchanged file is not read again, and a changed one once for all who wait', async (t) => {
  later(t)
  const { path, file } = await opened(t, '[access]\nu = a=r\n')
  let [reads, stats] = [0, 0]
  intercept(t, 'open', original => { reads++; return original() })
  intercept(t, 'stat', original => { stats++; return original() })
  for (let round = 0; round < 5; round++) assert.equal(await file.rights('u', 'a'), 'read')
  assert.deepEqual({ reads, stats }, { reads: 0, stats: 5 })
  writeFileSync(path, '[access]\nu = a=rw\n')
  const answers = await Promise.all(Array.from({ length: 20 }, () => file.rights('u', 'a')))
  assert.deepEqual(new Set(answers), new Set(['write']))
  assert.deepEqual({ reads, stats }, { reads: 1, stats: 6 })
})

test('who comes while an older look is still under way does not share it', async (t) => {
  later(t)
  const { path, file } = await opened(t, '[access]\nu = a=r\n')
  const looked = gate()
  const goOn = gate()
  intercept(t, 'stat', async original => {
    const stats = await original()
    looked.open()
    await goOn.opened
    return stats
  })
  const first = file.rights('u', 'a')
  await looked.opened
  writeFileSync(path, '[access]\nu = a=rw\n')
  const second = file.rights('u', 'a')
  goOn.open()
  assert.equal(await second, 'write')
  await first
})

function gate (): { opened: Promise<void>, open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>(resolve => { open = resolve })
  return { opened, open }
}

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
  const path = join(temporary(t), 'access.ini')
  writeFileSync(path, '[access]\nu = a=r\n')
  const file = await AccessFile.open(path, { warn () {}, error () { throw new Error('log is full') } })
  writeFileSync(path, 'wrong\n')
  await assert.rejects(file.rights('u', 'a'), /log is full/)
  writeFileSync(path, '[access]\nu = a=rw\n')
  assert.equal(await file.rights('u', 'a'), 'write')
})

test('at the start, a file that cannot be used is an error', async (t) => {
  const directory = temporary(t)
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
