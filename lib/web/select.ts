import { compare, fold, type Entry } from './folders.ts'

/** Repositories of one page. */
const PAGE = 50
/** Questions about rights that are asked at once. */
const AT_ONCE = 16
/** Repositories that are looked through for one page. */
const MAX_EXAMINED = 20_000

/** Which page of a listing is wanted. At most one of `after` and `before` is given. */
export interface Wanted {
  /** Part of a name, without regard to case; empty for all. */
  query: string
  /** Name that the page comes after. */
  after?: string
  before?: string
}

/** A page; it tells nothing of repositories that are not on it but that there are some which may be seen. */
export interface Selection<T> {
  shown: T[]
  hasPrevious: boolean
  hasNext: boolean
  /** False when so many were passed over that it was given up. */
  complete: boolean
}

/**
 * The entries of a page among those that `open` answers for. Pages start at names and not at numbers: only so is a page
 * found without asking for the rights of all that come before it.
 */
export async function select<T> (entries: readonly Entry[], wanted: Wanted, open: (entry: Entry) => Promise<T | null>): Promise<Selection<T>> {
  const query = fold(wanted.query)
  const matching = query === '' ? entries : entries.filter(({ folded }) => folded.includes(query))
  if (wanted.before !== undefined) {
    const found = await gather(matching.slice(0, position(matching, wanted.before, 0)).reverse(), open)
    // Fewer than a page come before: then it is the first page.
    if (found.shown.length > PAGE) return { ...found, shown: found.shown.slice(0, PAGE).reverse(), hasPrevious: true, hasNext: true }
    return await select(entries, { query: wanted.query }, open)
  }
  const start = wanted.after === undefined ? 0 : position(matching, wanted.after, 1)
  const found = await gather(matching.slice(start), open)
  return { ...found, shown: found.shown.slice(0, PAGE), hasPrevious: wanted.after !== undefined, hasNext: found.shown.length > PAGE }
}

/** The first entries, one more than a page, so that it shows whether another one follows. */
async function gather<T> (entries: readonly Entry[], open: (entry: Entry) => Promise<T | null>): Promise<{ shown: T[], complete: boolean }> {
  const shown: T[] = []
  let next = 0
  for (; next < entries.length && next < MAX_EXAMINED && shown.length <= PAGE; next += AT_ONCE) {
    const opened = await Promise.all(entries.slice(next, next + AT_ONCE).map(open))
    shown.push(...opened.filter((one) => one !== null))
  }
  return { shown: shown.slice(0, PAGE + 1), complete: shown.length > PAGE || next >= entries.length }
}

/** How many entries come before `name`, and with `equal` 1, itself included. */
function position (entries: readonly Entry[], name: string, equal: 0 | 1): number {
  const wanted = { name, folded: fold(name) }
  let [low, high] = [0, entries.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (compare(entries[middle] as Entry, wanted) < equal) low = middle + 1
    else high = middle
  }
  return low
}
