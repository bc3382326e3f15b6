/** How a request body becomes what git reads: lib/git/unpack.ts and lib/git/feed.ts, one behind the other as for each request. */
import assert from 'node:assert/strict'
import { PassThrough, Writable } from 'node:stream'
import { setImmediate as nextIteration } from 'node:timers/promises'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { BadEncodingError, TooLargeError } from '../../lib/errors.ts'
import { feed } from '../../lib/git/feed.ts'
import { unpack } from '../../lib/git/unpack.ts'
import { ByteLimit } from '../../lib/limits/byte-limit.ts'

const MIB = 1_048_576

/** Stands for git's stdin, and for a git that reads as fast as it can. */
class Stdin extends Writable {
  readonly #got: Buffer[] = []

  override _write (chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.#got.push(Buffer.from(chunk))
    setImmediate(callback)
  }

  get got (): Buffer {
    return Buffer.concat(this.#got)
  }

  /** git saw an end that looks like a good one. */
  get isEnded (): boolean {
    return this.writableEnded
  }
}

function begin (body: PassThrough, stdin: Stdin, gzip: boolean, limit: ByteLimit | null = null, onProgress: () => void = () => {}): Promise<unknown> {
  const plain = unpack(body, { gzip, limit })
  return feed(plain, stdin, { onProgress, owned: true, limit: gzip ? null : limit }).then(() => null, (error) => error)
}

/** Feeds `chunks` one by one; the body ends behind them. */
async function fed (chunks: Buffer[], gzip: boolean, limit: ByteLimit | null = null): Promise<{ stdin: Stdin, error: unknown }> {
  const [body, stdin] = [new PassThrough(), new Stdin()]
  const result = begin(body, stdin, gzip, limit)
  for (const chunk of chunks) {
    body.write(Buffer.from(chunk))
    await nextIteration()
  }
  body.end()
  return { stdin, error: await result }
}

function cut (whole: Buffer, at: number[]): Buffer[] {
  const places = [0, ...at.map((place) => place % (whole.length + 1)).sort((a, b) => a - b), whole.length]
  return places.slice(1).map((end, i) => whole.subarray(places[i], end))
}

const PLAIN = Buffer.from('0032want 1111111111111111111111111111111111111111\n00000009done\n'.repeat(1_500))
const cuts = fc.array(fc.nat(), { maxLength: 4 })

test('however a gzip body of one or more members is split, git gets what is in it', async () => {
  const whole = Buffer.concat([gzipSync(PLAIN.subarray(0, 40_000)), gzipSync(PLAIN.subarray(40_000))])
  await fc.assert(fc.asyncProperty(cuts, async (at) => {
    const { stdin, error } = await fed(cut(whole, at), true)
    assert.equal(error, null)
    assert.ok(stdin.got.equals(PLAIN))
    assert.ok(stdin.writableFinished)
  }), { numRuns: 40 })
})

const TRAILERS: Record<string, Buffer> = {
  garbage: Buffer.from('garbage'),
  'a zero byte': Buffer.alloc(1),
  'garbage behind a zero byte': Buffer.from('\0garbage'),
  'another member behind a zero byte': Buffer.concat([Buffer.alloc(1), gzipSync(PLAIN)]),
  'the first byte of a member': Buffer.from([0x1f]),
  'a member without its end': gzipSync(PLAIN.subarray(0, 10_000)).subarray(0, -1)
}

for (const [what, trailer] of Object.entries(TRAILERS)) {
  test(`${what} behind a gzip body is an error, however it is split, and git misses the end`, async () => {
    const gzip = gzipSync(PLAIN)
    for (const at of [[], [gzip.length], [gzip.length, gzip.length + 1], [gzip.length + 1]]) {
      const { stdin, error } = await fed(cut(Buffer.concat([gzip, trailer]), at), true)
      assert.ok(error instanceof BadEncodingError, String(error))
      assert.ok(!stdin.isEnded)
      // What follows is part of the body where it is a member, and then it is that one's end that git misses.
      if (!what.startsWith('a member')) assert.ok(stdin.got.length < PLAIN.length)
    }
  })
}

test('a gzip body that is cut anywhere is an error, and git never gets all of it', async () => {
  const gzip = gzipSync(PLAIN)
  await fc.assert(fc.asyncProperty(fc.nat({ max: gzip.length - 1 }), cuts, async (length, at) => {
    const { stdin, error } = await fed(cut(gzip.subarray(0, length), at), true)
    assert.ok(error instanceof BadEncodingError)
    assert.ok(stdin.got.length < PLAIN.length)
    assert.ok(!stdin.isEnded)
  }), { numRuns: 40 })
})

for (const gzip of [false, true]) {
  const kind = gzip ? 'a gzip body' : 'a body'

  test(`${kind} at the limit passes, and one byte more ends it where it gets too long`, async () => {
    const body = gzip ? gzipSync(PLAIN) : PLAIN
    const whole = await fed(cut(body, [1_000, 50_000]), gzip, new ByteLimit(PLAIN.length))
    assert.equal(whole.error, null)
    assert.ok(whole.stdin.got.equals(PLAIN))
    const { stdin, error } = await fed(cut(body, [1_000, 50_000]), gzip, new ByteLimit(PLAIN.length - 1))
    assert.ok(error instanceof TooLargeError)
    assert.ok(stdin.got.length < PLAIN.length)
    assert.ok(!stdin.isEnded)
  })

  test(`a sender of ${kind} who stops leaves git waiting, not at an end: time is for somebody else to watch`, async () => {
    const [body, stdin] = [new PassThrough(), new Stdin()]
    let isSettled = false
    const result = begin(body, stdin, gzip).finally(() => { isSettled = true })
    body.write((gzip ? gzipSync(PLAIN) : PLAIN).subarray(0, 200))
    for (let i = 0; i < 20; i++) await nextIteration()
    assert.equal(isSettled, false)
    assert.ok(!stdin.isEnded && !stdin.destroyed)
    // What the idle timeout does.
    stdin.destroy()
    await result
    assert.equal(body.destroyed, false, 'its connection still has to carry the answer')
  })

  test(`${kind} that breaks off does not look like one that ended`, async () => {
    const [body, stdin] = [new PassThrough(), new Stdin()]
    const result = begin(body, stdin, gzip)
    body.on('error', () => {})
    body.write((gzip ? gzipSync(PLAIN) : PLAIN).subarray(0, 200))
    await nextIteration()
    body.destroy(new Error('aborted'))
    assert.ok(await result instanceof Error)
    assert.ok(stdin.destroyed && !stdin.isEnded)
  })
}

test('a gzip bomb stops when it has become a hundred times larger, not at its end', async () => {
  const bomb = gzipSync(Buffer.alloc(16 * MIB))
  const { stdin, error } = await fed(cut(bomb, [1_000, 5_000]), true, new ByteLimit(Infinity))
  assert.ok(error instanceof TooLargeError)
  assert.ok(stdin.got.length <= 2 * MIB, `${stdin.got.length}`)
})
