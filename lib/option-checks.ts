import { InvalidOptionError } from './errors.ts'

/** git-config(1), "Syntax": section, an optional subsection, and a variable. A `=` would end the name on git's command line. */
const CONFIG_NAME = /^[A-Za-z0-9-]+\.(?:[^\n\0=]+\.)?[A-Za-z][A-Za-z0-9-]*$/

type Check = (value: unknown) => true | string

const boolean: Check = (value) => typeof value === 'boolean' || 'must be a boolean'
const text: Check = (value) => (typeof value === 'string' && value !== '' && !value.includes('\0')) || 'must be a non-empty string without NUL'
const callback: Check = (value) => typeof value === 'function' || 'must be a function'
const duration: Check = (value) =>
  (Number.isInteger(value) && value as number > 0 && value as number < 2 ** 31) || 'must be a whole number of milliseconds from 1 to 2147483647'
const bytes: Check = (value) => (Number.isSafeInteger(value) && value as number > 0) || 'must be a whole number of bytes from 1'
const processes: Check = (value) =>
  (Number.isInteger(value) && value as number >= 0 && value as number <= 64) || 'must be a whole number from 0 to 64'
const sharing: Check = (value) => typeof value === 'boolean' || (Number.isSafeInteger(value) && value as number > 1) || 'must be a boolean, or a whole number from 2'
const count: Check = (value) => (Number.isSafeInteger(value) && value as number >= 0) || 'must be a whole number from 0'
const positive: Check = (value) => (Number.isSafeInteger(value) && value as number > 0) || 'must be a whole number from 1'
const store: Check = (value) =>
  (isObject(value) && ['get', 'put'].every((name) => typeof value[name] === 'function')) || 'must have the functions get and put'
const register: Check = (value) =>
  (isObject(value) && typeof value['registerMetric'] === 'function') || 'must be a Registry of prom-client'
const realm: Check = (value) =>
  (typeof value === 'string' && /^[\x20-\x7e]+$/.test(value) && !/["\\]/.test(value)) || 'must be printable ASCII without quotes and backslashes'
const booleanOrCallback: Check = (value) =>
  ['boolean', 'function'].includes(typeof value) || 'must be a boolean or a function'
const config: Check = (value) => {
  if (!isPlainObject(value)) return 'must be an object'
  const wrong = Object.entries(value).find(([key, setting]) => !CONFIG_NAME.test(key) || typeof setting !== 'string' || setting.includes('\0'))
  return wrong === undefined || `must map git config names to strings, '${wrong[0]}' does not`
}

/** Every option and its check; a nested table for a nested object. */
interface Checks { [name: string]: Check | Checks }

/** False, or an object of its own checks. */
function offOr (name: string, checks: Checks): Check {
  return (value) => {
    if (value === false) return true
    check(value, checks, name)
    return true
  }
}

const CHECKS: Checks = {
  prefix: (value) => typeof value === 'string' || 'must be a string',
  root: text,
  resolve: callback,
  publicRead: boolean,
  publicWrite: boolean,
  realm,
  accessFile: text,
  authenticate: callback,
  authorize: callback,
  services: { uploadPack: boolean, receivePack: boolean, uploadArchive: boolean, dumb: boolean },
  exportAll: boolean,
  createOnPush: booleanOrCallback,
  namespace: callback,
  environment: callback,
  git: { path: text, config },
  trustConfig: boolean,
  spawner: { processes },
  cache: {
    answers: offOr('cache.answers', { maxBytes: bytes }),
    packs: offOr('cache.packs', { maxMemory: bytes, directory: text, maxBytes: bytes, maxAge: duration, minOccurrences: count, store, header: boolean, shared: sharing })
  },
  hooks: {
    onFetch: callback,
    onPush: callback,
    preReceive: callback,
    postReceive: callback,
    onFinish: callback,
    transformRequest: callback,
    transformResponse: callback,
    partial: boolean,
    deadline: duration
  },
  metrics: { register },
  limits: {
    idleTimeout: duration,
    closeGrace: duration,
    maxConcurrent: positive,
    maxPerRepository: positive,
    maxPerUser: positive,
    maxQueued: count,
    queueTimeout: duration,
    maxPushBytes: bytes,
    maxNegotiationBytes: bytes
  }
}

/** Options that Fastify's own `register` reads and passes on. */
const OF_REGISTER = ['logLevel', 'logSerializers']

/** @throws InvalidOptionError that names the first wrong option. */
export function checkOptions (options: unknown): void {
  check(options, CHECKS, '')
}

function check (values: unknown, checks: Checks, parent: string): void {
  if (!isPlainObject(values)) throw new InvalidOptionError(parent, 'must be an object')
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || (parent === '' && OF_REGISTER.includes(name))) continue
    const path = parent === '' ? name : `${parent}.${name}`
    const rule = Object.hasOwn(checks, name) ? checks[name] : undefined
    if (rule === undefined) throw new InvalidOptionError(path, 'is unknown')
    if (typeof rule === 'object') {
      check(value, rule, path)
      continue
    }
    const verdict = rule(value)
    if (verdict !== true) throw new InvalidOptionError(path, verdict)
  }
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isPlainObject (value: unknown): value is Record<string, unknown> {
  return isObject(value) && !Array.isArray(value)
}
