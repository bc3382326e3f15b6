import { createHash, type Hash } from 'node:crypto'
import type { FetchRequest } from './fetch-request.ts'

/** A request while it is read. */
export type MutableRequest = { -readonly [Name in keyof FetchRequest]: FetchRequest[Name] extends readonly string[] ? string[] : FetchRequest[Name] }

/** What a kept string costs beside its characters, roughly, in bytes. */
const STRING_COST = 64
const OBJECT_ID = { sha1: /^[0-9a-f]{40}$/, sha256: /^[0-9a-f]{64}$/ }
/** git reads a C int and a timestamp in any base; clients send plain decimals. Anything else is left to git. */
const DECIMAL = /^[1-9][0-9]{0,14}$/
const MAX_DEPTH = 2 ** 31 - 1

/** Filters that git understands and that mean the same whatever the refs are (list-objects-filter-options.c). */
const SIMPLE_FILTER = /^(?:blob:none|blob:limit=[0-9]{1,15}[kmgKMG]?|tree:[0-9]{1,15}|object:type=(?:commit|tree|blob|tag))$/
/** Its value is any expression that names a blob, such as `main:sparse`. */
export const SPARSE_FILTER = 'sparse:oid='

/**
 * What was read of a request so far. The methods that take a line's value answer false when it is not
 * understood. Haves are counted and hashed, not kept; what is kept adds to `cost`.
 */
export class RequestDraft {
  readonly request: MutableRequest
  readonly shallows: string[] = []
  readonly haves: Hash = createHash('sha256')
  /** Bytes of memory that the request holds, roughly. */
  cost = 0
  /** False when the answer depends on more than what the key holds. */
  keyable = true
  readonly #seen: Set<string> = new Set()

  constructor (protocol: 0 | 1 | 2) {
    this.request = {
      protocol,
      objectFormat: 'sha1',
      wants: [],
      wantRefs: [],
      haves: 0,
      shallows: 0,
      done: false,
      depth: undefined,
      deepenSince: undefined,
      deepenNot: [],
      deepenRelative: false,
      filter: undefined,
      capabilities: [],
      agent: undefined,
      sessionId: undefined,
      serverOptions: []
    }
  }

  /** Appends to a list of the request. */
  keep (list: string[], value: string): true {
    list.push(value)
    this.cost += value.length + STRING_COST
    return true
  }

  /** False when `name` was there before: of a repetition git takes the first, the last or neither. */
  once (name: string): boolean {
    if (this.#seen.has(name)) return false
    this.#seen.add(name)
    this.cost += name.length + STRING_COST
    return true
  }

  have (id: string): boolean {
    if (!this.#isObjectId(id)) return false
    this.request.haves++
    this.haves.update(id)
    return true
  }

  /** A capability with a value, the same in all versions. */
  capability (name: string, value: string): boolean {
    if (!this.once(name) || value === '') return false
    if (name === 'agent') this.request.agent = value
    else if (name === 'session-id') this.request.sessionId = value
    else if (name === 'object-format' && (value === 'sha1' || value === 'sha256')) this.request.objectFormat = value
    else return false
    return this.keep(this.request.capabilities, `${name}=${value}`)
  }

  /** A line that means the same in all versions. */
  argument (keyword: string, value: string): boolean {
    const { request } = this
    switch (keyword) {
      case 'want': return this.#isObjectId(value) && this.keep(request.wants, value)
      case 'shallow':
        if (!this.#isObjectId(value)) return false
        request.shallows++
        return this.keep(this.shallows, value)
      case 'deepen':
        if (request.depth !== undefined || !DECIMAL.test(value) || Number(value) > MAX_DEPTH) return false
        request.depth = Number(value)
        return true
      case 'deepen-since':
        if (request.deepenSince !== undefined || !DECIMAL.test(value)) return false
        request.deepenSince = Number(value)
        return true
      case 'deepen-not': return value !== '' && this.keep(request.deepenNot, value)
      case 'filter':
        if (request.filter !== undefined || !isFilter(value)) return false
        request.filter = value
        this.cost += value.length
        return true
      default: return false
    }
  }

  /** False for a depth with a bound of another kind: git dies of it when it comes to send the shallow list (send_shallow_list). */
  get consistent (): boolean {
    const { depth, deepenSince, deepenNot } = this.request
    return depth === undefined || (deepenSince === undefined && deepenNot.length === 0)
  }

  #isObjectId (text: string): boolean {
    return OBJECT_ID[this.request.objectFormat].test(text)
  }
}

function isFilter (spec: string): boolean {
  if (spec.startsWith(SPARSE_FILTER)) return spec.length > SPARSE_FILTER.length
  const [first = '', ...others] = spec.split('+')
  if (others.length === 0) return SIMPLE_FILTER.test(first)
  return first.startsWith('combine:') && [first.slice('combine:'.length), ...others].every((part) => SIMPLE_FILTER.test(part))
}
