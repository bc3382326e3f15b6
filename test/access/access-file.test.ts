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
import fc from 'fast-check'
import { AccessFile, type AccessRules, type Right, parseAccessFile, rightsOf } from '../../lib/access/access-file.ts'
import { AccessFileError } from '../../lib/errors.ts'

const SHA1 = '5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8' // password
const PASSWORD = 'password'
const bare = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '')
const SALT = crypto.randomBytes(16)
/** A scrypt line that is cheap enough for tests. */
const scryptLine = (password: string): string => `$scrypt$N=1024,r=8,p=1$${bare(SALT)}$${bare(crypto.scryptSync(password, SALT, 32, { N: 1024 }))}`

const parse = (...lines: string[]): AccessRules => parseAccessFile(lines.join('\n'), 'access.ini')
const access = (line: string): AccessRules => parse('[access]', `u = ${line}`)

function assertWrong (lines: string[], at: number, reason: RegExp): void {
  assert.throws(() => parse(...lines), (error: Error) => {
    assert.ok(error instanceof AccessFileError, String(error))
    assert.match(error.message, new RegExp(`^access\\.ini:${at}: .*${reason.source}`), lines.join('|'))
    return true
  })
}

test('names are taken as they are written', () => {
  const names = ['a.b', 'true', 'null', '1', 'constructor', '__proto__', 'toString', 'key[]', 'x y', 'DOMAIN\\bob', 'Jürgen', 'access']
  const rules = parse('[users]', ...names.map(name => `${name} = ${SHA1}`), '[access]', ...names.map(name => `${name} = ${name.length}=rw`))
  assert.deepEqual([...rules.users.keys()], names)
  for (const name of names) assert.equal(rightsOf(rules, name, String(name.length)), 'write', name)
  assert.equal(rightsOf(rules, 'hasOwnProperty', '1'), 'none')
})

test('quotes, comments, CRLF, a byte-order mark, blank and indented lines', () => {
  const rules = parseAccessFile([
    '\uFEFF; first', '[users] # who', '', `"semi;colon" = "${SHA1}"`, `'hash#' = ${SHA1} ; old`, `a\\;b=${SHA1}`, `'7' = ${SHA1}`,
    '# then', '[access]', '\t"semi;colon" = "c#=rw , d=r"', '\ta\\;b =', '\thash = x=r # y=r;z#', '[users]', `late = ${SHA1}`
  ].join('\r\n'), 'access.ini')
  assert.deepEqual([...rules.users.keys()], ['semi;colon', 'hash#', 'a;b', '7', 'late'])
  assert.equal(rightsOf(rules, 'semi;colon', 'c#'), 'write')
  assert.equal(rightsOf(rules, 'semi;colon', 'd'), 'read')
  assert.equal(rightsOf(rules, 'hash', 'x'), 'read')
  assert.equal(rightsOf(rules, 'hash', 'y'), 'none')
})

test('a wrong line is named', () => {
  const wrong: Array<[lines: string[], at: number, reason: RegExp]> = [
    [['', '[user]'], 2, /unknown section/],
    [['[users', `a = ${SHA1}`], 1, /unknown section/],
    [['[users.x]'], 1, /unknown section/],
    [['[Users]'], 1, /unknown section/],
    [['[__proto__]'], 1, /unknown section/],
    [['[users] x'], 1, /unknown section/],
    [['[users]', 'alice'], 2, /neither a section nor/],
    [['# note', `alice = ${SHA1}`], 2, /before \[users\]/],
    [['[users]', `alice = ${SHA1}`, '', `alice = ${SHA1}`], 4, /already listed in line 2/],
    [['[users]', `"alice" = ${SHA1}`, '[access]', '[users]', `alice = ${SHA1}`], 5, /already listed in line 2/],
    [['[access]', 'alice = a=r', 'alice = b=r'], 3, /already listed in line 2/],
    [['[users]', 'alice ='], 2, /not a password hash/],
    [['[users]', 'alice = true'], 2, /not a password hash/],
    [['[users]', `alice = ${SHA1}0`], 2, /not a password hash/],
    [['[users]', 'alice = $2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'], 2, /cost of a bcrypt hash/],
    [['[users]', `anonymous = ${SHA1}`], 2, /anonymous cannot/],
    [['[users]', `= ${SHA1}`], 2, /name is missing/],
    [['[users]', `"" = ${SHA1}`], 2, /name is missing/],
    [['[users]', `a:b = ${SHA1}`], 2, /no colon/],
    [['[users]', 'alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g='], 2, /no colon/],
    [['[users]', `a\tb = ${SHA1}`], 2, /no control characters/],
    [['[users]', `"a\\nb" = ${SHA1}`], 2, /no control characters/],
    [['[users]', `a\u0085b = ${SHA1}`], 2, /no control characters/],
    [['[users]', `a\rb = ${SHA1}`], 2, /no control characters/],
    [['[users]', `J\uFFFDrgen = ${SHA1}`], 2, /nothing but UTF-8/],
    [['[users]', `"a\\ud800" = ${SHA1}`], 2, /nothing but UTF-8/],
    [['[users]', `"a=b" = ${SHA1}`], 2, /quotes of the user name/],
    [['[users]', `a;b = ${SHA1}`], 2, /unquoted ; or #/],
    [['[users]', `a ; b = ${SHA1}`], 2, /unquoted ; or #/],
    [['[users]', `a = ${SHA1}#x`], 2, /unquoted ; or #/],
    [['[access]', 'a = *=rw;secret='], 2, /unquoted ; or #/],
    [['[access]', 'a = *=rw,', '    secret='], 2, /a rule is/],
    [['[access]', 'a = *=rw', '    ,secret='], 3, /indented deeper/],
    [['[access]', 'a = b'], 2, /a rule is/],
    [['[access]', 'a = b=w'], 2, /a rule is/],
    [['[access]', 'a = b=RW'], 2, /a rule is/],
    [['[access]', 'a = b=constructor'], 2, /a rule is/],
    [['[access]', 'a = b=r c=rw'], 2, /a rule is/],
    [['[access]', 'a = b==rw'], 2, /a rule is/],
    [['[access]', 'a = b=r=w'], 2, /a rule is/],
    [['[access]', 'a = b=r,,c=r'], 2, /a rule is/],
    [['[access]', 'a = true'], 2, /a rule is/],
    [['[access]', 'a = b=r,b.git=rw'], 2, /two different rights/],
    ...['', '/b', 'b/', 'b//c', '.', '..', './b', '../b', 'b/../c', 'b/.', '"b"', "'b'", 'b?', '[b]', '{SHA}b', 'b\\c', 'a\tb', 'a\uFFFDb', 'x'.repeat(1025)]
      .map((pattern): [string[], number, RegExp] => [['[access]', 'ok = x=r', `a = c=r,${pattern}=r`], 3, /a repository is a path/])
  ]
  for (const [lines, at, reason] of wrong) assertWrong(lines, at, reason)
})

test('a text over 1 MiB is refused at the line that crosses the limit', () => {
  const half = '#'.repeat(512 * 1024 - 1)
  assert.deepEqual(parse(half, half + '#'), { users: new Map(), access: undefined })
  assertWrong([half, half + '##', '#'], 2, /larger than 1 MiB/)
  assertWrong([half, 'ü'.repeat(512 * 1024)], 2, /larger than 1 MiB/)
})

test('a message repeats neither passwords nor hashes', () => {
  const secret = 'hunter2hunter2'
  for (const line of [secret, `a = ${secret}`, `a = $2b$04$${secret}`, `a = $scrypt$${secret}`, `a:${secret} = x`, `[${secret}]`]) {
    for (const section of ['[users]', '[access]']) {
      assert.throws(() => parse(section, line), (error: Error) => !error.message.includes(secret))
    }
  }
})

test('any text is either rules or an AccessFileError for one of its lines', () => {
  const word = fc.constantFrom(
    '[users]', '[access]', '[', ']', '\n', '\r\n', ' ', '\t', '=', '=r', '=rw', ',', '*', '/', '.', '.git', '"', "'", ';', '#', '\\',
    '__proto__', 'true', 'anonymous', 'a', 'b[]', SHA1, '$2b$', '$scrypt$', '\uFEFF', '\0', ':', '{"a":', '}'
  )
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.array(word, { maxLength: 60 }).map(words => words.join('')))
  const section = fc.constantFrom('', '[users]\n', '[access]\n')
  let good = 0
  fc.assert(fc.property(section, text, (head, tail) => {
    try {
      const rules = parseAccessFile(head + tail, 'f')
      good++
      for (const user of [null, 'a', '__proto__']) assert.match(String(rightsOf(rules, user, 'a/b')), /^(none|read|write|undefined)$/)
    } catch (error) {
      assert.ok(error instanceof AccessFileError, String(error))
      const line = Number(/^f:(\d+): /.exec(error.message)?.[1])
      assert.ok(line >= 1 && line <= (head + tail).split('\n').length)
    }
  }), { numRuns: 2000 })
  assert.ok(good > 100, `only ${good} texts were good`)
})

test('the most specific pattern decides', () => {
  const rules = access('*=r,team/*=rw,team/secret/*=,team/secret/open=r,*-old=,te*m/app*=')
  const expected: Record<string, Right> = {
    app: 'read',
    'a/b/c': 'read',
    '': 'read',
    'team/app': 'write',
    'team/a/b': 'write',
    'team/x-old': 'write',
    'x-old': 'none',
    'tem/app': 'none',
    'team/secret/x': 'none',
    'team/secret/open': 'read',
    'team/secret/Open': 'none',
    'Team/app': 'read'
  }
  for (const [name, right] of Object.entries(expected)) assert.equal(rightsOf(rules, 'u', name), right, name)
})

test('.git at the end does not matter on either side', () => {
  for (const pattern of ['app', 'app.git', 'app/.git', 'app.git/.git']) {
    for (const name of ['app', 'app.git', 'app/.git', 'app.git/.git', 'app/', 'app.git.git']) {
      assert.equal(rightsOf(access(`*=rw,${pattern}=`), 'u', name), 'none', `${pattern} and ${name}`)
    }
    assert.equal(rightsOf(access(`*=rw,${pattern}=`), 'u', 'appgit'), 'write')
  }
  assert.equal(rightsOf(access('team/*.git=rw'), 'u', 'team/app'), 'write')
  assert.equal(rightsOf(access('.git=r'), 'u', ''), 'read', 'the root itself')
})

test('between equally specific patterns the lower right decides', () => {
  for (const line of ['a*bc*=rw,a*b*c=', 'a*b*c=,a*bc*=rw']) assert.equal(rightsOf(access(line), 'u', 'abc'), 'none')
})

test('who may what', () => {
  const listed = parse('[users]', `alice = ${SHA1}`)
  assert.equal(rightsOf(listed, 'alice', 'app'), 'write')
  assert.equal(rightsOf(listed, 'mallory', 'app'), 'none')
  assert.equal(rightsOf(listed, null, 'app'), undefined)

  const empty = parse('[users]', `alice = ${SHA1}`, '[access]')
  assert.equal(rightsOf(empty, 'alice', 'app'), 'none')
  assert.equal(rightsOf(empty, null, 'app'), undefined)

  const full = parse('[users]', `alice = ${SHA1}`, '[access]', 'bob = app=r,lib=', 'alice =', 'anonymous = lib*=r,wiki=rw')
  assert.equal(rightsOf(full, null, 'lib'), 'read')
  assert.equal(rightsOf(full, null, 'app'), 'none')
  assert.equal(rightsOf(full, 'bob', 'app'), 'read')
  assert.equal(rightsOf(full, 'bob', 'lib'), 'read', 'never less than anonymous')
  assert.equal(rightsOf(full, 'alice', 'wiki'), 'write', 'never less than anonymous')
  assert.equal(rightsOf(full, 'alice', 'app'), 'none')
  assert.equal(rightsOf(full, 'anonymous', 'app'), 'none')
})

test('neither the order of rules matters nor how the match is found', () => {
  const letter = fc.constantFrom('a', 'b', 'aa', '/b')
  const pattern = fc.array(fc.oneof(letter, fc.constant('*')), { minLength: 1, maxLength: 6 }).map(parts => parts.join(''))
    .filter(text => !/^\/|\/\/|^$/.test(text)).map(text => text.replace(/\*+/g, '*'))
  const rules = fc.uniqueArray(fc.tuple(pattern, fc.constantFrom('', 'r', 'rw')), { selector: ([text]) => text, maxLength: 6 })
  const name = fc.array(letter, { maxLength: 6 }).map(parts => parts.join(''))
  const right: Record<string, Right> = { '': 'none', r: 'read', rw: 'write' }
  const shuffled = rules.chain(list => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })))
  let found = 0
  fc.assert(fc.property(shuffled, name, ([list, other], repository) => {
    const [first, second] = [list, other].map(order => rightsOf(access(order.map(rule => rule.join('=')).join()), 'u', repository))
    assert.equal(first, second)
    // The same by a regular expression, which is only safe here.
    const fits = list.filter(([text]) => new RegExp(`^${text.replaceAll('*', '.*')}$`).test(repository))
    const rank = ([text, letters]: [string, string]): string => [
      text.includes('*') ? 0 : 1, text.split('*')[0]!.length, text.replaceAll('*', '').length, 2 - letters.length
    ].map(value => String(value).padStart(2, '0')).join()
    const best = fits.sort((a, b) => rank(a) < rank(b) ? 1 : -1)[0]
    if (best !== undefined) found++
    assert.equal(first, best === undefined ? 'none' : right[best[1]])
  }), { numRuns: 2000 })
  assert.ok(found > 200, `only ${found} names had a rule`)
})

test('a pattern full of stars ends', () => {
  assert.equal(rightsOf(access(`${'a*'.repeat(500)}b=rw`), 'u', 'a'.repeat(16_000)), 'none')
})

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
  assert.deepEqual(log, [])
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
