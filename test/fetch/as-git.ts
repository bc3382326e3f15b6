import assert from 'node:assert/strict'
import { askUploadPack, indexPack, takeApart } from '../fixtures/fetch-answer.ts'
import { fetchV0, fetchV2, type FetchQuestion } from '../fixtures/fetch-request.ts'
import type { PackScene } from '../fixtures/pack-scene.ts'
import { postFetch, type FetchReply } from '../fixtures/post-fetch.ts'

export type Version = 0 | 2

export function bodyOf (question: FetchQuestion, protocol: Version): Buffer {
  return protocol === 2 ? fetchV2(question) : fetchV0(question)
}

/** Asks until the answer comes from the cache; answers the last one. */
export async function keep ({ appUrl }: PackScene, body: Buffer, protocol: Version = 2): Promise<FetchReply> {
  let reply: FetchReply | undefined
  for (const expected of ['miss', 'miss', 'hit']) {
    reply = await postFetch(appUrl, body, { protocol })
    assert.equal(reply.cache, expected)
  }
  return reply as FetchReply
}

/** The answer must be what git says now: the same words, and the same objects. */
export async function assertAsGit ({ appUrl, served }: PackScene, body: Buffer, protocol: Version = 2): Promise<string[]> {
  const [reply, { code, answer }] = [await postFetch(appUrl, body, { protocol }), await askUploadPack(served, body, protocol)]
  if (code !== 0 && answer.length === 0) {
    // git says why on stderr only; the user reads it.
    assert.equal(reply.status, 200)
    assert.match(reply.body.toString(), /^[0-9a-f]{4}ERR \S/)
    return []
  }
  const [got, expected] = [takeApart(reply.body), takeApart(answer)]
  assert.deepEqual(got.lines, expected.lines)
  if (expected.pack.length === 0) {
    assert.equal(got.pack.length, 0)
    return got.lines
  }
  const receiver = { directory: null, shallows: got.lines.flatMap((line) => line.startsWith('shallow ') ? [line.slice(8)] : []), partial: true }
  assert.deepEqual(await indexPack(got.pack, receiver), await indexPack(expected.pack, receiver))
  return got.lines
}
