/**
 * A push whose gzip body is not whole. zlib hands out data before it finds that the end is missing, so that git could
 * have everything it needs: it must not apply it.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { makeWorkingCopy, commitRandom } from '../fixtures/repository.ts'
import { assertAlive, assertDiscreet, makeStage, post, pushBody, refsOf, serve, type Stage } from './helpers.ts'
import type { TestServer } from '../fixtures/server.ts'

type Damage = (whole: Buffer) => Buffer

const REF = 'refs/heads/pushed'
const SIZES = { 'a small push': 0, 'a push of many chunks': 300_000 }

const DAMAGED: Array<{ what: string, damage: Damage }> = [
  { what: 'without its last byte', damage: (whole) => whole.subarray(0, -1) },
  { what: 'without its last 4 bytes (the length)', damage: (whole) => whole.subarray(0, -4) },
  { what: 'without its last 8 bytes (length and checksum)', damage: (whole) => whole.subarray(0, -8) },
  { what: 'without its last 9 bytes', damage: (whole) => whole.subarray(0, -9) },
  { what: 'cut in the middle', damage: (whole) => whole.subarray(0, whole.length >> 1) },
  { what: 'cut within the header', damage: (whole) => whole.subarray(0, 5) },
  { what: 'empty', damage: () => Buffer.alloc(0) },
  { what: 'with a wrong checksum', damage: (whole) => flipped(whole, whole.length - 8) },
  { what: 'with a wrong length', damage: (whole) => flipped(whole, whole.length - 1) },
  { what: 'not compressed at all', damage: () => Buffer.from('0000') },
  { what: 'with garbage behind it', damage: (whole) => Buffer.concat([whole, Buffer.from('garbage')]) },
  { what: 'with half a second member behind it', damage: (whole) => Buffer.concat([whole, gzipSync('more').subarray(0, 12)]) }
]

function flipped (whole: Buffer, at: number): Buffer {
  const copy = Buffer.from(whole)
  copy[at] = (copy[at] as number) ^ 0xff
  return copy
}

for (const [size, bytes] of Object.entries(SIZES)) {
  test(`${size}: gzip that is damaged is 400 and not applied`, async (t) => {
    const { stage, server, whole } = await prepared(t, bytes)
    const target = '/git/app.git/git-receive-pack'
    for (const { what, damage } of DAMAGED) {
      await t.test(what, async () => {
        const response = await post(server.port, target, damage(whole), ['Content-Encoding: gzip'])
        assert.equal(response.status, 400, response.text.slice(0, 400))
        assertDiscreet(stage, response, what)
        assert.deepEqual(await refsOf(join(stage.root, 'app.git')), ['refs/heads/main'])
      })
    }
    await t.test('the whole body is applied, so the damage alone was the reason', async () => {
      const response = await post(server.port, target, whole, ['Content-Encoding: gzip'])
      assert.equal(response.status, 200)
      assert.match(response.body.toString(), new RegExp(`unpack ok[^]*ok ${REF}`))
      assert.deepEqual(await refsOf(join(stage.root, 'app.git')), ['refs/heads/main', REF])
    })
    await assertAlive(server)
  })
}

for (const encoding of ['gzip', 'x-gzip', 'GZIP', 'identity']) {
  test(`Content-Encoding ${encoding} is understood`, async (t) => {
    const { stage, server, whole, plain } = await prepared(t, 0)
    const response = await post(server.port, '/git/app.git/git-receive-pack', encoding === 'identity' ? plain : whole, [`Content-Encoding: ${encoding}`])
    assert.equal(response.status, 200)
    assert.deepEqual(await refsOf(join(stage.root, 'app.git')), ['refs/heads/main', REF])
  })
}

async function prepared (t: TestContext, bytes: number): Promise<{ stage: Stage, server: TestServer, plain: Buffer, whole: Buffer }> {
  const stage = await makeStage(t)
  const source = await makeWorkingCopy(stage.folder, 'source')
  if (bytes > 0) await commitRandom(source, 'random', bytes)
  const plain = await pushBody(source, REF)
  return { stage, server: await serve(t, stage, { publicWrite: true }), plain, whole: gzipSync(plain) }
}
