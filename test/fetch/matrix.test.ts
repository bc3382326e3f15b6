import assert from 'node:assert/strict'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import fc from 'fast-check'
import { askUploadPack, indexPack, takeApart, type FetchAnswer } from '../fixtures/fetch-answer.ts'
import { fetchV0, fetchV2 } from '../fixtures/fetch-request.ts'
import { servePacks } from '../fixtures/pack-scene.ts'
import { openFetch, postFetch } from '../fixtures/post-fetch.ts'
import { makeMatrixScene, neighbours, questionOf, type Cell, type Client, type Format, type MatrixScene } from './matrix-scene.ts'

/** Pairs of cells of each object format; one takes some 200 ms. */
const RUNS = { sha1: 60, sha256: 20 }

for (const format of ['sha1', 'sha256'] as const) {
  test(`${format}: every answer, made, kept and from the cache, indexes and holds the objects that git sends uncached`, async (t) => {
    let scene: MatrixScene | undefined
    const { appUrl, served } = await servePacks(t, async (root) => (scene = await makeMatrixScene(root, format)).served)
    const matrix = scene as unknown as MatrixScene
    const answered = new Map<string, number>()

    const check = async (cell: Cell): Promise<void> => {
      const question = questionOf(matrix, cell, format)
      const body = cell.protocol === 2 ? fetchV2(question) : fetchV0(question)
      const options = { sidebandAll: cell.protocol === 2 && cell.capabilities.includes('sideband-all') }
      const uncached = await askUploadPack(served, body, cell.protocol)
      if (uncached.code !== 0) return await assertFails(appUrl, body, cell)
      const expected = takeApart(uncached.answer, options)
      const objects = await objectsIn(expected, matrix, cell, format)
      const known = new Map([[expected.pack.toString('latin1'), objects]])
      const uses: Array<string | undefined> = []
      for (let i = 0; i < 3; i++) {
        const reply = await postFetch(appUrl, body, { protocol: cell.protocol })
        assert.equal(reply.status, 200)
        const got = takeApart(reply.body, options)
        assert.deepEqual(got.lines, expected.lines)
        assert.equal(got.failure, expected.failure)
        const pack = got.pack.toString('latin1')
        if (!known.has(pack)) known.set(pack, await objectsIn(got, matrix, cell, format))
        assert.deepEqual(known.get(pack), objects)
        uses.push(reply.cache)
        answered.set(reply.cache ?? '', (answered.get(reply.cache ?? '') ?? 0) + 1)
      }
      // A cell may come twice, and then is a hit from the start.
      const isNegotiation = cell.protocol < 2 && (question.haves?.length ?? 0) > 0
      assert.equal(uses[2], isNegotiation ? 'bypass' : 'hit', uses.join())
    }
    await fc.assert(fc.asyncProperty(neighbours(matrix), async ([cell, neighbour]) => {
      await check(cell)
      await check(neighbour)
    }), { numRuns: RUNS[format], endOnFailure: true, includeErrorInReport: true })
    assert.ok((answered.get('miss') ?? 0) >= 10 && (answered.get('hit') ?? 0) >= 5, `the matrix has met the cache: ${JSON.stringify([...answered])}`)
  })
}

/** git dies of it, before or after its first words (a filter or bound that leaves nothing): no answer looks whole, none is kept. */
async function assertFails (appUrl: string, body: Buffer, { protocol }: Cell): Promise<void> {
  for (let i = 0; i < 3; i++) {
    const response = await openFetch(appUrl, body, { protocol })
    const { 'x-git-cache': cache } = response.headers
    const bytes = await buffer(response).catch(() => null)
    assert.ok(response.statusCode === 500 || bytes === null || /ERR /.test(bytes.toString('latin1')), bytes?.toString('latin1'))
    assert.notEqual(cache, 'hit')
  }
}

async function objectsIn ({ lines, pack }: FetchAnswer, { clients }: MatrixScene, { client, filter }: Cell, objectFormat: Format): Promise<string[] | null> {
  if (pack.length === 0) return null
  const { directory, shallows } = clients[client] as Client
  const named = (keyword: string): string[] => lines.flatMap((line) => line.startsWith(`${keyword} `) ? [line.slice(keyword.length + 1)] : [])
  const gone = named('unshallow')
  return await indexPack(pack, {
    directory,
    shallows: [...new Set([...shallows, ...named('shallow')])].filter((id) => !gone.includes(id)),
    partial: filter.length > 0,
    objectFormat
  })
}
