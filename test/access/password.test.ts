import assert from 'node:assert/strict'
import { test } from 'node:test'
import bcrypt from 'bcryptjs'
import fc from 'fast-check'
import ini from 'ini'
import { hashPassword, parsePasswordHash, verifyPassword } from '../../lib/access/password.ts'
import { bare } from './helpers.ts'

test('a hash that was just made verifies its password and no other', async () => {
  const line = await hashPassword('tränen 🔑')
  const hash = parsePasswordHash(line)
  assert.equal(hash.scheme, 'scrypt')
  assert.equal(hash.legacy, false)
  assert.equal(await verifyPassword(hash, 'tränen 🔑'), true)
  assert.equal(await verifyPassword(hash, 'tränen'), false)
  assert.notEqual(await hashPassword('tränen 🔑'), line, 'the salt is new every time')
})

test('an ini file gives the line back unchanged', async () => {
  const line = await hashPassword('x')
  assert.equal(ini.parse(`[users]\nalice = ${line}\n`)['users'].alice, line)
})

test('scrypt agrees with RFC 7914', async () => {
  const digest = Buffer.from('7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2' +
    'd5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887', 'hex')
  const hash = parsePasswordHash(`$scrypt$N=16384,r=8,p=1$${bare(Buffer.from('SodiumChloride'))}$${bare(digest)}`)
  assert.equal(await verifyPassword(hash, 'pleaseletmein'), true)
  assert.equal(await verifyPassword(hash, 'pleaseletmeIn'), false)
})

test('both kinds of SHA-1 work and are legacy', async () => {
  // sha1('password'), as `htpasswd -s` and sha1sum write it.
  for (const line of [
    '5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8', '5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8', '{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g='
  ]) {
    const hash = parsePasswordHash(line)
    assert.equal(hash.legacy, true)
    assert.equal(await verifyPassword(hash, 'password'), true, line)
    assert.equal(await verifyPassword(hash, 'passwore'), false, line)
  }
})

test('bcrypt agrees with crypt_blowfish, under all three names', async () => {
  for (const version of ['2a', '2b', '2y']) {
    const hash = parsePasswordHash(`$${version}$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW`)
    assert.equal(hash.scheme, 'bcrypt')
    assert.equal(hash.legacy, false)
    assert.equal(await verifyPassword(hash, 'U*U'), true)
    assert.equal(await verifyPassword(hash, 'U*U*'), false)
  }
})

test('bcrypt ignores what it cannot hash, so such a password never matches', async () => {
  const longest = 'ä'.repeat(36) // 72 bytes
  const hash = parsePasswordHash(await bcrypt.hash(longest, 4))
  assert.equal(await verifyPassword(hash, longest), true)
  assert.equal(await bcrypt.compare(longest + '!', hash.text), true, 'bcrypt alone would let it in')
  assert.equal(await verifyPassword(hash, longest + '!'), false)

  const short = parsePasswordHash(await bcrypt.hash('ab', 4))
  assert.equal(await bcrypt.compare('ab\0ab', short.text), true, 'bcrypt alone would let it in')
  assert.equal(await verifyPassword(short, 'ab\0ab'), false)
})

test('the unused bits of a bcrypt salt do not matter', async () => {
  const line = await bcrypt.hash('secret', '$2b$04$CCCCCCCCCCCCCCCCCCCCC.')
  assert.equal(await verifyPassword(parsePasswordHash(line.replace('C.', 'C/')), 'secret'), true)
})

test('what is no hash, or a hash that costs too much, is refused without repeating it', () => {
  const salt = 'c2FsdHNhbHRzYWx0'
  const digest = bare(Buffer.alloc(32, 7))
  const wrong: Array<[line: string, reason: RegExp]> = [
    ['', /not a password hash/],
    ['true', /not a password hash/],
    ['hunter2', /not a password hash/],
    ['5baa61e4c9b93f3f0682250b6cf8331b7ee68fd', /not a password hash/],
    ['{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9', /not a password hash/],
    ['$apr1$salt$abcdefghijklmnopqrstuv', /not a password hash/],
    ['$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe', /not a bcrypt hash/],
    ['$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', /not a bcrypt hash/],
    ['$2b$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', /04 to 14/],
    ['$2b$15$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', /04 to 14/],
    [`$scrypt$N=1024,r=8$${salt}$${digest}`, /not a scrypt hash/],
    [`$scrypt$N=1e4,r=8,p=1$${salt}$${digest}`, /not a scrypt hash/],
    [`$scrypt$N=1024,r=0,p=1$${salt}$${digest}`, /not a scrypt hash/],
    [`$scrypt$N=1000,r=8,p=1$${salt}$${digest}`, /power of two/],
    [`$scrypt$N=3072,r=8,p=1$${salt}$${digest}`, /power of two/],
    [`$scrypt$N=512,r=8,p=1$${salt}$${digest}`, /power of two from 1024/],
    [`$scrypt$N=262144,r=8,p=1$${salt}$${digest}`, /N\*r up to/],
    [`$scrypt$N=131072,r=8,p=5$${salt}$${digest}`, /N\*r\*p up to/],
    [`$scrypt$N=1024,r=8,p=1$${salt}=$${digest}`, /base64/],
    [`$scrypt$N=1024,r=8,p=1$${salt}$${digest}!`, /base64/],
    [`$scrypt$N=1024,r=8,p=1$c2FsdA$${digest}`, /8 to 64 bytes of salt/],
    [`$scrypt$N=1024,r=8,p=1$${salt}$c2FsdA`, /16 to 64 bytes of hash/]
  ]
  for (const [line, reason] of wrong) {
    assert.throws(() => parsePasswordHash(line), (error: Error) => {
      assert.match(error.message, reason, line)
      assert.ok(line === '' || !error.message.includes(line), line)
      return true
    })
  }
})

test('the costliest scrypt hash that is let in can be verified', async () => {
  const hash = parsePasswordHash(`$scrypt$N=131072,r=8,p=1$c2FsdHNhbHRzYWx0$${bare(Buffer.alloc(32))}`)
  assert.equal(await verifyPassword(hash, 'x'), false)
})

test('any text is either a hash or an error', () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^\$(2[abxy]|scrypt)\$[N=,rp0-9$./A-Za-z]*$/))
  fc.assert(fc.property(text, line => {
    try {
      assert.equal(parsePasswordHash(line).text, line)
    } catch (error) {
      assert.match((error as Error).message, /^(not a|the cost of|salt and hash of|a scrypt hash|N of) /)
    }
  }))
})
