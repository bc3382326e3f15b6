import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { type TestContext, test } from 'node:test'
import bcrypt from 'bcryptjs'
import { PasswordChecker, type PasswordHash, dummyHash, parsePasswordHash, verifyPassword } from '../../lib/access/password.ts'
import { scryptLine } from './helpers.ts'

const sha1 = (password: string): string => crypto.createHash('sha1').update(password).digest('hex')

const users = (lines: Record<string, string>): Map<string, PasswordHash> =>
  new Map(Object.entries(lines).map(([user, line]) => [user, parsePasswordHash(line)]))

/** Watches a function of node:crypto, which imports by name see as well. */
function watch (t: TestContext, name: 'scrypt' | 'createHash' | 'timingSafeEqual'): { calls: ReadonlyArray<{ arguments: unknown[] }>, reset: () => void } {
  const { mock } = t.mock.method(crypto, name)
  syncBuiltinESMExports()
  t.after(() => {
    mock.restore()
    syncBuiltinESMExports()
  })
  return { get calls () { return mock.calls }, reset: () => mock.resetCalls() }
}

test('at most two scrypt computations run at once', async (t) => {
  const original = crypto.scrypt
  let [running, most, started] = [0, 0, 0]
  t.mock.method(crypto, 'scrypt', (...args: unknown[]) => {
    const done = args.pop() as (...results: unknown[]) => void
    started++
    most = Math.max(most, ++running)
    Reflect.apply(original, crypto, [...args, (...results: unknown[]) => { running--; done(...results) }])
  })
  syncBuiltinESMExports()
  t.after(() => { t.mock.restoreAll(); syncBuiltinESMExports() })
  const hash = parsePasswordHash(scryptLine('x'))
  const answers = await Promise.all(['x', 'y', 'x', 'z', 'x'].map(password => verifyPassword(hash, password)))
  assert.deepEqual(answers, [true, false, true, false, true])
  assert.deepEqual({ most, started, running }, { most: 2, started: 5, running: 0 })
})

test('the dummy costs as much as the costliest hash and matches nothing', async () => {
  const hashes = [sha1('a'), scryptLine('b', 4096), scryptLine('c'), await bcrypt.hash('d', 4)].map(parsePasswordHash)
  for (const order of [hashes, hashes.toReversed()]) {
    const dummy = dummyHash(order)
    assert.ok(dummy?.scheme === 'scrypt')
    assert.deepEqual([dummy.N, dummy.r, dummy.p, dummy.digest.length, dummy.salt.length], [4096, 8, 1, 32, 16])
    assert.equal(await verifyPassword(dummy, 'b'), false)
  }
  const slow = parsePasswordHash('$2b$14$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW')
  assert.equal(dummyHash([...hashes, slow])?.scheme, 'bcrypt')
  assert.equal(dummyHash([hashes[0]!])?.scheme, 'sha1')
  assert.equal(dummyHash([]), undefined)
})

test('an unknown user is verified with the same effort as a known one', async (t) => {
  const known = users({ alice: scryptLine('right', 2048), old: sha1('right') })
  const dummy = dummyHash(known.values())
  const checker = new PasswordChecker()
  const scrypt = watch(t, 'scrypt')
  for (const user of ['alice', 'nobody', 'constructor', 'old']) {
    scrypt.reset()
    assert.equal(await checker.check(known, dummy, user, 'wrong'), false)
    assert.deepEqual(scrypt.calls.map(call => [call.arguments[0], (call.arguments[3] as { N: number }).N]), [['wrong', 2048]], user)
  }
  assert.equal(await checker.check(new Map(), undefined, 'alice', 'right'), false)
})

test('digests are compared in constant time, once for each that is computed, for every kind of hash and for unknown users', async (t) => {
  const compared = watch(t, 'timingSafeEqual')
  for (const line of [sha1('right'), `{SHA}${Buffer.from(sha1('right'), 'hex').toString('base64')}`, scryptLine('right', 1024), await bcrypt.hash('right', 4)]) {
    const known = users({ alice: line })
    const checker = new PasswordChecker()
    for (const [user, password, isRight] of [['alice', 'wrong', false], ['alice', '', false], ['nobody', 'wrong', false], ['nobody', 'right', false], ['alice', 'right', true]] as const) {
      compared.reset()
      assert.equal(await checker.check(known, dummyHash(known.values()), user, password), isRight)
      const lengths = compared.calls.map(({ arguments: digests }) => (digests as Buffer[]).map(({ length }) => length))
      const { length } = known.get('alice')!.digest
      assert.deepEqual(lengths, [[length, length]], `${user} ${line}`)
    }
  }
})

test('a success is remembered until the hash changes, a failure never', async (t) => {
  const known = users({ alice: scryptLine('right'), bob: scryptLine('right') })
  const dummy = dummyHash(known.values())
  const checker = new PasswordChecker()
  const scrypt = watch(t, 'scrypt')
  const check = async (user: string, password: string, list = known): Promise<[boolean, number]> => {
    scrypt.reset()
    return [await checker.check(list, dummy, user, password), scrypt.calls.length]
  }
  assert.deepEqual(await check('alice', 'right'), [true, 1])
  assert.deepEqual(await check('alice', 'right'), [true, 0])
  assert.deepEqual(await check('alice', 'wrong'), [false, 1])
  assert.deepEqual(await check('alice', 'wrong'), [false, 1])
  assert.deepEqual(await check('bob', 'right'), [true, 1], 'what one user proved says nothing about another')
  assert.deepEqual(await check('alice', 'right', users({ alice: scryptLine('other') })), [false, 1])
  assert.deepEqual(await check('nobody', 'right'), [false, 1])
  assert.deepEqual(await check('nobody', 'right'), [false, 1])
})

test('equal attempts at one time share one verification', async (t) => {
  const known = users({ alice: scryptLine('right') })
  const dummy = dummyHash(known.values())
  const checker = new PasswordChecker()
  const scrypt = watch(t, 'scrypt')
  const attempts = [['alice', 'right'], ['alice', 'wrong'], ['nobody', 'right']] as const
  for (const [user, password] of attempts) {
    scrypt.reset()
    const answers = await Promise.all(Array.from({ length: 20 }, () => checker.check(known, dummy, user, password)))
    assert.deepEqual(new Set(answers), new Set([user === 'alice' && password === 'right']))
    assert.equal(scrypt.calls.length, 1)
  }
})

test('the memory holds the 1000 that were used last', async (t) => {
  const names = Array.from({ length: 1001 }, (_, index) => `user${index}`)
  const known = users(Object.fromEntries(names.map(name => [name, sha1(name)])))
  const dummy = dummyHash(known.values())
  const checker = new PasswordChecker()
  const hashing = watch(t, 'createHash')
  for (const name of names.slice(0, 1000)) assert.equal(await checker.check(known, dummy, name, name), true)
  const effort = async (name: string): Promise<number> => {
    hashing.reset()
    assert.equal(await checker.check(known, dummy, name, name), true)
    return hashing.calls.length
  }
  assert.equal(await effort('user0'), 0, 'now the one used last')
  assert.equal(await effort('user1000'), 1, 'pushes the oldest out')
  assert.equal(await effort('user0'), 0)
  assert.equal(await effort('user1'), 1)
})

test('a flood of passwords is turned away instead of queued up without end', async () => {
  const hash = parsePasswordHash(scryptLine('right'))
  const results = await Promise.allSettled(Array.from({ length: 200 }, (_, i) => verifyPassword(hash, `wrong ${i}`)))
  const refused = results.filter((result) => result.status === 'rejected')
  assert.equal(refused.length, 98, 'two run, a hundred wait')
  assert.ok(refused.every(({ reason }) => reason.code === 'FST_GIT_BUSY' && reason.statusCode === 503))
  assert.equal(await verifyPassword(hash, 'right'), true)
})
