import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type AccessRules, type Right, parseAccessFile, rightsOf } from '../../lib/access/access-rules.ts'
import { AccessFileError } from '../../lib/errors.ts'

const SHA1 = '5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8' // password

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
