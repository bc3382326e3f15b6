import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compare, fold, type Entry } from '../../lib/web/folders.ts'
import { select, type Selection, type Wanted } from '../../lib/web/select.ts'

function listing (names: Iterable<string>): Entry[] {
  return [...new Set(names)].map((name) => ({ name, folded: fold(name), directory: `/root/${name}` })).sort(compare)
}

async function page (entries: Entry[], wanted: Wanted, mayRead: (name: string) => boolean = () => true): Promise<Selection<string>> {
  return await select(entries, wanted, async ({ name }) => mayRead(name) ? name : null)
}

test('walking forth and back shows everything that may be read, once and in order', async () => {
  const names = fc.uniqueArray(fc.string({ unit: fc.constantFrom('a', 'A', 'b', 'é', '/', '1'), minLength: 1, maxLength: 8 }), { minLength: 0, maxLength: 400, size: 'max' })
  await fc.assert(fc.asyncProperty(names, fc.integer({ min: 1, max: 5 }), async (all, every) => {
    const entries = listing(all)
    const mayRead = (name: string): boolean => (name.length + name.charCodeAt(0)) % every === 0
    const expected = entries.map(({ name }) => name).filter(mayRead)
    const forth: string[][] = []
    let found = await page(entries, { query: '' }, mayRead)
    assert.equal(found.hasPrevious, false)
    for (; ; found = await page(entries, { query: '', after: forth.at(-1)?.at(-1) }, mayRead)) {
      forth.push(found.shown)
      if (!found.hasNext) break
      assert.equal(found.shown.length, 50)
    }
    assert.deepEqual(forth.flat(), expected)
    for (let i = forth.length - 1; i > 0; i--) {
      const before = await page(entries, { query: '', before: forth[i]?.[0] }, mayRead)
      assert.deepEqual(before.shown, forth[i - 1])
      assert.equal(before.hasNext, true)
    }
  }), { numRuns: 60 })
})

test('a search ignores case and how accents are composed', async () => {
  const entries = listing(['Été.git', 'team/summer.git', 'winter.git'])
  assert.deepEqual((await page(entries, { query: 'e\u0301TE\u0301' })).shown, ['Été.git'])
  assert.deepEqual((await page(entries, { query: 'TEAM/' })).shown, ['team/summer.git'])
  assert.deepEqual((await page(entries, { query: 'none' })).shown, [])
})

test('rights are asked for as far as the page reaches, and no further', async () => {
  const entries = listing(Array.from({ length: 10_000 }, (_, i) => `r${String(i).padStart(5, '0')}`))
  let asked = 0
  const { shown } = await page(entries, { query: '', after: 'r05000' }, () => { asked++; return true })
  assert.deepEqual([shown[0], shown.length], ['r05001', 50])
  assert.ok(asked < 70, `${asked} asked`)
})

test('a visitor who may see nothing of very much is told that there may be more', async () => {
  const entries = listing(Array.from({ length: 20_100 }, (_, i) => String(i)))
  const { shown, complete, hasNext } = await page(entries, { query: '' }, () => false)
  assert.deepEqual({ shown, complete, hasNext }, { shown: [], complete: false, hasNext: false })
})
