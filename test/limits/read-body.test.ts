/** The one reader of bodies (lib/limits/read-body.ts) and the three that are made of it: each settles once and leaves no listener behind. */
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import type { FastifyRequest } from 'fastify'
import fc from 'fast-check'
import { ClosingError, IdleTimeoutError, MalformedRequestError, TooLargeError } from '../../lib/errors.ts'
import { readBody, type Wait } from '../../lib/limits/read-body.ts'
import { encodePacket } from '../../lib/protocol/pkt-line.ts'
import { readPushHead } from '../../lib/push/read-head.ts'
import { peekBody } from '../../lib/routes/peek-body.ts'
import { readSmallBody } from '../../lib/routes/small-body.ts'

const FAR = 600_000
const HEAD = Buffer.concat([encodePacket(`${'0'.repeat(40)} ${'ab'.repeat(20)} refs/heads/main\0 report-status`), Buffer.from('0000')])
const EVENTS = ['data', 'end', 'error', 'close', 'readable', 'pause', 'resume']

type Reader = (body: Readable, wait: Wait) => Promise<unknown>

/** Each reads on until the body ends, unless something ends it before. */
const READERS: Record<string, Reader> = {
  readBody: async (body, wait) => await readBody(body, wait, () => null),
  readPushHead: async (body, wait) => await readPushHead(body, wait),
  peekBody: async (body, wait) => await peekBody(body, { ...wait, limit: 1_000, onPart: () => 'more' }),
  readSmallBody: async (body, wait) => await readSmallBody({ headers: { 'content-length': '4' } } as unknown as FastifyRequest, body, wait)
}

/** How many listeners there are now. The last one for `error` is the owner's, as each body has one. */
function listeners (body: Readable, { signal }: AbortController): number[] {
  return [...EVENTS.map((name) => body.listenerCount(name)), getEventListeners(signal, 'abort').length]
}

function owned (): { body: PassThrough, over: AbortController, wait: Wait, before: number[] } {
  const [body, over] = [new PassThrough(), new AbortController()]
  body.on('error', () => {})
  return { body, over, wait: { idleTimeout: FAR, over: over.signal }, before: listeners(body, over) }
}

function cut (whole: Buffer, at: number[]): Buffer[] {
  const places = [0, ...at.map((place) => place % (whole.length + 1)).sort((a, b) => a - b), whole.length]
  return places.slice(1).map((end, i) => Buffer.from(whole.subarray(places[i], end)))
}

const cuts = fc.array(fc.nat(), { maxLength: 6 })
const bytes = (maxLength: number): fc.Arbitrary<Buffer> => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array))

test('however a body is split, what was read and what is still in it make the whole, and no listener stays', async () => {
  await fc.assert(fc.asyncProperty(bytes(200), cuts, fc.nat(250), async (whole, at, wanted) => {
    const { body, over, wait, before } = owned()
    const read: Buffer[] = []
    let length = 0
    const reading = readBody(body, wait, (chunk) => {
      const take = Math.min(chunk.length, wanted - length)
      read.push(Buffer.from(chunk.subarray(0, take)))
      length += take
      return length < wanted ? null : { found: length, rest: chunk.subarray(take) }
    })
    for (const chunk of cut(whole, at)) body.write(chunk)
    body.end()
    const found = await reading
    assert.deepEqual(listeners(body, over), before)
    assert.equal(found?.found ?? null, whole.length < wanted || whole.length === 0 ? null : wanted)
    const rest = found === null ? Buffer.alloc(0) : await buffer(body)
    assert.ok(Buffer.concat([...read, rest]).equals(whole))
  }))
})

test('however a push is split, its head is found and its pack stays in the body', async () => {
  await fc.assert(fc.asyncProperty(bytes(100), cuts, async (pack, at) => {
    const { body, over, wait, before } = owned()
    const reading = readPushHead(body, wait)
    for (const chunk of cut(Buffer.concat([HEAD, pack]), at)) body.write(chunk)
    body.end()
    const { head, bytes: taken, putBack } = await reading
    assert.deepEqual(listeners(body, over), before)
    assert.deepEqual(head.commands.map(({ ref }) => ref), ['refs/heads/main'])
    assert.ok(taken.equals(HEAD))
    assert.ok(putBack <= pack.length)
    assert.ok((await buffer(body)).equals(pack))
  }))
})

test('however a body is split, a glance at it takes all of it or leaves all of it', async () => {
  await fc.assert(fc.asyncProperty(bytes(200), cuts, fc.nat(250), fc.nat(250), fc.constantFrom('whole' as const, 'leave' as const), async (whole, at, limit, decided, glance) => {
    const { body, over, wait, before } = owned()
    const peeking = peekBody(body, { ...wait, limit, onPart: (_part, all) => all().length >= decided ? glance : 'more' })
    for (const chunk of cut(whole, at)) body.write(chunk)
    body.end()
    const { bytes: taken, putBack } = await peeking
    assert.deepEqual(listeners(body, over), before)
    const rest = body.readableEnded ? Buffer.alloc(0) : await buffer(body)
    assert.ok(Buffer.concat([taken ?? Buffer.alloc(0), rest]).equals(whole))
    if (taken === null) assert.ok(putBack > 0 && (glance === 'leave' || putBack > limit))
    else assert.equal(putBack, 0)
  }))
})

for (const [name, read] of Object.entries(READERS)) {
  test(`${name}: a body that is destroyed before anybody read it fails, and no listener stays`, async () => {
    for (const error of [undefined, new Error('aborted'), new TooLargeError('x')]) {
      for (const isClosed of [false, true]) {
        const { body, over, wait, before } = owned()
        body.destroy(error)
        if (isClosed) await new Promise<void>((resolve) => body.once('close', resolve))
        await assert.rejects(read(body, wait), error instanceof TooLargeError ? error : MalformedRequestError)
        assert.deepEqual(listeners(body, over), before)
      }
    }
  })

  test(`${name}: a body that breaks off while it is read fails, and no listener stays`, async () => {
    await fc.assert(fc.asyncProperty(fc.nat(HEAD.length - 1), fc.constantFrom(undefined, new Error('aborted'), new TooLargeError('x')), async (length, error) => {
      const { body, over, wait, before } = owned()
      const reading = read(body, wait)
      body.write(Buffer.from(HEAD.subarray(0, length)))
      setImmediate(() => body.destroy(error))
      await assert.rejects(reading, error instanceof TooLargeError ? error : MalformedRequestError)
      assert.deepEqual(listeners(body, over), before)
    }), { numRuns: 20 })
  })

  test(`${name}: it is over before or while it is read, and the reason is thrown if it is one of ours`, async () => {
    for (const [reason, thrown] of [[new ClosingError(), ClosingError], [new Error('the client has left'), MalformedRequestError]] as const) {
      for (const early of [true, false]) {
        const { body, over, wait, before } = owned()
        if (early) over.abort(reason)
        const reading = read(body, wait)
        body.write(HEAD.subarray(0, 3))
        setImmediate(() => over.abort(reason))
        await assert.rejects(reading, thrown)
        assert.deepEqual(listeners(body, over), before)
        assert.equal(body.destroyed, false, 'its connection still has to carry the answer')
        assert.equal(body.isPaused() || body.readableFlowing === null, true)
      }
    }
  })

  test(`${name}: a body that stands still is an idle timeout, and no listener stays`, async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { body, over, wait, before } = owned()
    const reading = read(body, wait)
    t.mock.timers.tick(FAR)
    await assert.rejects(reading, IdleTimeoutError)
    assert.deepEqual(listeners(body, over), before)
  })
}

test('what the callback throws is thrown, and the body is paused where it is', async () => {
  const { body, over, wait, before } = owned()
  const error = new Error('enough')
  const reading = readBody(body, wait, () => { throw error })
  for (const text of ['one', 'two']) body.write(text)
  await assert.rejects(reading, error)
  assert.deepEqual(listeners(body, over), before)
  body.end()
  assert.equal((await buffer(body)).toString(), 'two')
})

test('a body that has ended is not waited for', async () => {
  const { body, over, wait, before } = owned()
  body.end()
  body.resume()
  await new Promise<void>((resolve) => body.once('close', resolve))
  assert.equal(await readBody(body, wait, () => null), null)
  assert.deepEqual(listeners(body, over), before)
})

test('a small body is read whole, and one that is not small stays as it is', async () => {
  const { body, over, wait, before } = owned()
  const said = (length: string): FastifyRequest => ({ headers: { 'content-length': length } }) as unknown as FastifyRequest
  body.end('0000')
  assert.equal(await readSmallBody(said('20000'), body, wait), null)
  assert.deepEqual(listeners(body, over), before)
  assert.equal((await readSmallBody(said('4'), body, wait))?.toString(), '0000')
  assert.deepEqual(listeners(body, over), before)
})
