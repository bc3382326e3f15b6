/**
 * The password hashes that an access file may hold: reading them, making the best of them,
 * and comparing a password with one. Passwords are taken as UTF-8.
 */
import { hash as bcrypt, truncates } from 'bcryptjs'
import { createHash, createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { BusyError } from '../errors.ts'

interface Common {
  /** The text that it was parsed from. As secret as the hash itself: never log it. */
  readonly text: string
  /** Whether a stolen file gives the password away quickly (both SHA-1 kinds: fast and without salt). */
  readonly legacy: boolean
  /** About how many milliseconds one verification takes; only good for comparing hashes. */
  readonly cost: number
  readonly digest: Buffer
}

interface ScryptParameters {
  /** Work and memory, a power of two. */
  readonly N: number
  readonly r: number
  readonly p: number
}

/** A password hash that {@link parsePasswordHash} has understood. */
export type PasswordHash = Common & (
  | { readonly scheme: 'sha1' }
  /** `settings` is everything before the digest: version, cost and salt. */
  | { readonly scheme: 'bcrypt', readonly settings: string }
  | { readonly scheme: 'scrypt', readonly salt: Buffer } & ScryptParameters
)

/** 50 to 90 ms and 32 MiB for one verification. */
const DEFAULTS: ScryptParameters = { N: 2 ** 15, r: 8, p: 1 }

// Whoever may write a hash into the file must not be able to stop the server with it.
/** 128 MiB of memory, which is 128 * N * r bytes. */
const MAX_SCRYPT_BLOCKS = 2 ** 20
/** N * r * p; one to two seconds. */
const MAX_SCRYPT_WORK = 2 ** 22
/** About a second in JavaScript; every step above doubles it. */
const MAX_BCRYPT_COST = 14

/** Verifications that wait for their turn, a few seconds' worth; a flood of wrong passwords must not queue up for ever. */
const MAX_WAITING = 100
const MAX_REMEMBERED = 1000

/** Two, so that a burst of wrong passwords leaves threads of libuv's pool (four) to the file system. */
const scryptTurn = turns(2)
/** bcryptjs works on the main thread in slices of up to 100 ms; two at once would double the pause. */
const bcryptTurn = turns(1)

/**
 * Hashes a password with scrypt, under a new random salt.
 *
 * @returns `$scrypt$N=..,r=..,p=..$<salt>$<hash>` in base64 without padding. No character of it means
 *   anything to an ini file, so it needs no quotes there.
 */
export async function hashPassword (password: string): Promise<string> {
  const salt = randomBytes(16)
  const digest = await scryptTurn(() => scryptDigest(password, salt, 32, DEFAULTS))
  const { N, r, p } = DEFAULTS
  return `$scrypt$N=${N},r=${r},p=${p}$${unpadded(salt)}$${unpadded(digest)}`
}

/**
 * Reads a hash: a SHA-1 in 40 hex digits, `{SHA}` and base64 (htpasswd -s), bcrypt `$2a$`, `$2b$` or
 * `$2y$` (htpasswd -B) of cost 4 to 14, or a line of {@link hashPassword} that asks for at most
 * 128 MiB and two seconds.
 *
 * @throws Error that says what is wrong and repeats nothing of `text`.
 */
export function parsePasswordHash (text: string): PasswordHash {
  if (/^[0-9a-f]{40}$/i.test(text)) return sha1(text, Buffer.from(text, 'hex'))
  if (/^\{SHA\}[A-Za-z0-9+/]{27}=$/.test(text)) return sha1(text, Buffer.from(text.slice(5), 'base64'))
  if (text.startsWith('$2')) return parseBcrypt(text)
  if (text.startsWith('$scrypt$')) return parseScrypt(text)
  throw new Error('not a password hash: expected a SHA-1 in 40 hex digits, {SHA}<base64>, $2b$... or $scrypt$...')
}

/**
 * Whether `password` is the one that `hash` was made of. The digests are compared in constant time.
 *
 * bcrypt reads 72 bytes and, in C, stops at a NUL. A password that goes beyond either never matches
 * a bcrypt hash: anything else would let every password in that starts with the same 72 bytes.
 */
export async function verifyPassword (hash: PasswordHash, password: string): Promise<boolean> {
  // Computed in any case, so that the time does not depend on the answer.
  const same = timingSafeEqual(await digestLike(hash, password), hash.digest)
  return same && !(hash.scheme === 'bcrypt' && (truncates(password) || password.includes('\0')))
}

/**
 * A hash that no password matches and that costs as much to try as the costliest of `hashes`: what an
 * unknown user's password is compared with, so that the time does not tell who exists.
 *
 * @returns undefined when there are no hashes.
 */
export function dummyHash (hashes: Iterable<PasswordHash>): PasswordHash | undefined {
  let costliest: PasswordHash | undefined
  for (const hash of hashes) {
    if (costliest === undefined || hash.cost > costliest.cost) costliest = hash
  }
  return costliest && { ...costliest, text: '', digest: randomBytes(costliest.digest.length) }
}

/**
 * Checks the passwords of named users. git sends the password with every request, so the last 1000
 * successes are remembered, under a keyed digest of user, password and hash: no password stays in memory,
 * and a new hash makes the memory void. A failure is never remembered.
 */
export class PasswordChecker {
  readonly #secret = randomBytes(32)
  /** In the order of their last use. */
  readonly #remembered = new Set<string>()
  readonly #running = new Map<string, Promise<boolean>>()

  /**
   * Whether `password` is the one of `user`. An unknown user takes as long as one with the costliest hash.
   *
   * @param dummy The {@link dummyHash} of `users`.
   */
  async check (
    users: ReadonlyMap<string, PasswordHash>, dummy: PasswordHash | undefined, user: string, password: string
  ): Promise<boolean> {
    if (dummy === undefined) return false
    const known = users.get(user)
    const right = await this.#verify(known ?? dummy, user, password)
    if (right && known !== undefined) return true
    // A file half-way from SHA-1 to something better would tell by its speed who has not moved yet.
    if (known?.legacy && !dummy.legacy) await this.#verify(dummy, user, password)
    return false
  }

  async #verify (hash: PasswordHash, user: string, password: string): Promise<boolean> {
    const key = createHmac('sha256', this.#secret).update(JSON.stringify([user, password, hash.text])).digest('base64')
    if (this.#remembered.delete(key)) {
      this.#remembered.add(key)
      return true
    }
    // A fleet that starts to clone brings the same password a hundred times at once: one verification for all.
    const running = this.#running.get(key) ?? verifyPassword(hash, password).finally(() => this.#running.delete(key))
    this.#running.set(key, running)
    const right = await running
    if (right) this.#remembered.add(key)
    for (const oldest of this.#remembered) {
      if (this.#remembered.size <= MAX_REMEMBERED) break
      this.#remembered.delete(oldest)
    }
    return right
  }
}

function sha1 (text: string, digest: Buffer): PasswordHash {
  return { scheme: 'sha1', text, legacy: true, cost: 0, digest }
}

function parseBcrypt (text: string): PasswordHash {
  const [, settings = '', cost, digest = ''] = /^(\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{22})([./A-Za-z0-9]{31})$/.exec(text) ?? []
  if (settings === '') throw new Error('not a bcrypt hash: expected $2a$, $2b$ or $2y$, two digits, $ and 53 characters')
  const rounds = Number(cost)
  if (rounds < 4 || rounds > MAX_BCRYPT_COST) throw new Error(`the cost of a bcrypt hash must be 04 to ${MAX_BCRYPT_COST}`)
  // The digest as text and without the salt: some programs write unused bits of the salt that others drop.
  return { scheme: 'bcrypt', text, legacy: false, cost: 2 ** rounds / 16, digest: Buffer.from(digest), settings }
}

function parseScrypt (text: string): PasswordHash {
  const [, ...fields] = /^\$scrypt\$N=([1-9]\d{0,7}),r=([1-9]\d?),p=([1-9]\d?)\$([^$]+)\$([^$]+)$/.exec(text) ?? []
  if (fields.length === 0) throw new Error('not a scrypt hash: expected $scrypt$N=..,r=..,p=..$<salt>$<hash>')
  const [N, r, p] = fields.slice(0, 3).map(Number) as [number, number, number]
  const [salt, digest] = fields.slice(3).map(field => Buffer.from(field, 'base64')) as [Buffer, Buffer]
  if (unpadded(salt) !== fields[3] || unpadded(digest) !== fields[4]) {
    throw new Error('salt and hash of a scrypt hash must be base64 without padding')
  }
  if (salt.length < 8 || salt.length > 64 || digest.length < 16 || digest.length > 64) {
    throw new Error('a scrypt hash must have 8 to 64 bytes of salt and 16 to 64 bytes of hash')
  }
  if (N < 1024 || !Number.isInteger(Math.log2(N))) throw new Error('N of a scrypt hash must be a power of two from 1024')
  if (N * r > MAX_SCRYPT_BLOCKS || N * r * p > MAX_SCRYPT_WORK) {
    throw new Error(`a scrypt hash may have N*r up to ${MAX_SCRYPT_BLOCKS} and N*r*p up to ${MAX_SCRYPT_WORK}`)
  }
  return { scheme: 'scrypt', text, legacy: false, cost: N * r * p / 4096, digest, salt, N, r, p }
}

async function digestLike (hash: PasswordHash, password: string): Promise<Buffer> {
  switch (hash.scheme) {
    case 'sha1': return createHash('sha1').update(password).digest()
    case 'scrypt': return scryptTurn(() => scryptDigest(password, hash.salt, hash.digest.length, hash))
    case 'bcrypt': return Buffer.from((await bcryptTurn(() => bcrypt(password, hash.settings))).slice(-31))
  }
}

function scryptDigest (password: string, salt: Buffer, length: number, { N, r, p }: ScryptParameters): Promise<Buffer> {
  // Node's default of 32 MiB is just too little for N = 32768; a little more than the limit above is needed for p.
  const options = { N, r, p, maxmem: 2 * 128 * MAX_SCRYPT_BLOCKS }
  return new Promise((resolve, reject) => {
    scrypt(password, salt, length, options, (error, digest) => { error ? reject(error) : resolve(digest) })
  })
}

function unpadded (bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}

/**
 * Runs at most `max` tasks at once, the others in order of arrival.
 *
 * @throws BusyError (from the returned function) when {@link MAX_WAITING} wait already.
 */
function turns (max: number): <T>(task: () => Promise<T>) => Promise<T> {
  const waiting: Array<() => void> = []
  let free = max
  return async task => {
    if (free > 0) free--
    else if (waiting.length >= MAX_WAITING) throw new BusyError()
    else await new Promise<void>(resolve => { waiting.push(resolve) })
    try {
      return await task()
    } finally {
      const next = waiting.shift()
      if (next === undefined) free++
      else next()
    }
  }
}
