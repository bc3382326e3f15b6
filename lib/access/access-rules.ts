/** Users and their rights in one ini file, GitTornado's format. */
import { unsafe as unquote } from 'ini'
import { AccessFileError } from '../errors.ts'
import { type PasswordHash, parsePasswordHash } from './password.ts'

export type Right = 'none' | 'read' | 'write'

interface UserRules {
  readonly exact: ReadonlyMap<string, Right>
  /** The most specific first. The literals of a pattern are what stands between its stars. */
  readonly globs: ReadonlyArray<{ readonly literals: readonly string[], readonly right: Right }>
}

/** What an access file says. Maps, because a user may be called `constructor`. */
export interface AccessRules {
  readonly users: ReadonlyMap<string, PasswordHash>
  /** By user, and `anonymous`; undefined when the file has no [access]. */
  readonly access: ReadonlyMap<string, UserRules> | undefined
}

type Fail = (reason: string) => never

/** Largest access file, in bytes. */
export const MAX_BYTES: number = 1024 * 1024
const MAX_PATTERN = 1024
/** Control characters, and what is left of text that is no UTF-8. */
const UNCLEAN = /[\p{Cc}\p{Cs}\uFFFD]/u
/** Empty, a wrong slash or dot segment, a quote at an end, or what looks like another kind of pattern. */
const NO_PATTERN = /^$|^["']|["']$|[?[\]{}\\]|(?:^|\/)\.{0,2}(?:\/|$)/
const RIGHTS: ReadonlyMap<string | undefined, Right> = new Map([['', 'none'], ['r', 'read'], ['rw', 'write']])
const RANK: Readonly<Record<Right, number>> = { none: 0, read: 1, write: 2 }

/**
 * Reads the text of an access file, at most 1 MiB. Whatever is not understood is an error, because a rule
 * that was silently dropped may be the one that closes a repository.
 *
 * ini does the unquoting, value by value. Its parser is not used: it nests `[a.b]`, makes a boolean of
 * `true` and an array of `name[]`, drops `__proto__`, and knows no line numbers.
 *
 * @param file Its name, for messages.
 * @throws AccessFileError that names the first wrong line, counted from 1, and repeats nothing of it.
 */
export function parseAccessFile (text: string, file: string): AccessRules {
  const users = new Map<string, PasswordHash>()
  const access = new Map<string, UserRules>()
  let [number, bytes, indent, section, hasAccess] = [0, 0, Infinity, '', false]
  const lineOf = new Map<string, number>()
  const fail: Fail = reason => { throw new AccessFileError(file, number, reason) }
  for (const line of text.split('\n')) {
    number++
    bytes += Buffer.byteLength(line) + 1
    if (bytes > MAX_BYTES + 1) fail('the file is larger than 1 MiB')
    const trimmed = line.trim() // a byte-order mark and the CR of CRLF as well
    if (trimmed === '' || /^[;#]/.test(trimmed)) continue
    if (trimmed.startsWith('[')) {
      section = /^\[(users|access)\]\s*([;#].*)?$/.exec(trimmed)?.[1] ?? fail('unknown section: there are [users] and [access]')
      hasAccess ||= section === 'access'
      indent = Infinity
      continue
    }
    const depth = line.length - line.trimStart().length
    // GitTornado read such a line as the rest of the one above.
    if (depth > indent) fail('indented deeper than the line above: a value cannot go on in a second line')
    indent = depth
    const equals = trimmed.indexOf('=')
    if (equals < 0) fail('neither a section nor name = value')
    if (section === '') fail('stands before [users] or [access]')
    const user = userName(trimmed.slice(0, equals).trim(), fail)
    const earlier = lineOf.get(section + user)
    if (earlier !== undefined) fail(`this user is already listed in line ${earlier}`)
    lineOf.set(section + user, number)
    const value = unquoted(trimmed.slice(equals + 1).trim(), fail, true)
    if (section === 'access') access.set(user, userRules(value, fail))
    else if (user === 'anonymous') fail('anonymous cannot have a password: it stands for everyone without one')
    else users.set(user, passwordHash(value, fail))
  }
  return { users, access: hasAccess ? access : undefined }
}

/**
 * What a user may do with a repository.
 *
 * In a pattern, `*` matches any text, slashes included and empty. A trailing `.git` or `/.git` does not
 * matter, neither in a pattern nor in `repository`; upper and lower case do. The most specific pattern
 * decides wherever it stands: the exact name, then the longest text before the first `*`, then the longest
 * text without the stars, then the lower right. The time is linear in the length of the name.
 *
 * Without [access] every listed user may write. With it, who has no matching rule has `none`. Nobody has
 * less than the `anonymous` line gives, since everyone may come without a password.
 *
 * @param user A verified user, or null for an anonymous client.
 * @returns undefined for an anonymous client when the file has no `anonymous` line: it says nothing then.
 */
export function rightsOf (rules: AccessRules, user: string | null, repository: string): Right | undefined {
  const name = bareName(repository)
  const anonymous = rules.access?.get('anonymous')
  if (user === null) return anonymous && lookUp(anonymous, name)
  if (rules.access === undefined) return rules.users.has(user) ? 'write' : 'none'
  const own = lookUp(rules.access.get(user), name)
  const least = lookUp(anonymous, name)
  return RANK[own] > RANK[least] ? own : least
}

/** Removes quotes and a comment as ini does, but never in silence what was meant to count: ini cuts `*=rw;app=` in two. */
function unquoted (raw: string, fail: Fail, comments: boolean): string {
  const quoted = /^(["']).*\1$/s.test(raw)
  for (const { 0: found, index } of quoted ? [] : raw.matchAll(/\\.|[;#]/g)) {
    if (found.length > 1) continue
    if (!comments || /\S/.test(raw.charAt(index - 1))) fail('an unquoted ; or # that is no comment at the end of the line')
    break
  }
  const value: unknown = unquote(raw)
  // ini reads single quotes as JSON, so that '1' is a number.
  return typeof value === 'string' ? value : raw.slice(1, -1)
}

function userName (raw: string, fail: Fail): string {
  const user = unquoted(raw, fail, false)
  if (user === '') fail('the user name is missing')
  if (UNCLEAN.test(user) || user.includes(':')) fail('a user name holds no colon, no control characters and nothing but UTF-8')
  if (/^["']/.test(user)) fail('the quotes of the user name are wrong')
  return user
}

function passwordHash (value: string, fail: Fail): PasswordHash {
  try {
    return parsePasswordHash(value)
  } catch (err) {
    return fail((err as Error).message)
  }
}

function userRules (value: string, fail: Fail): UserRules {
  const rights = new Map<string, Right>()
  for (const item of value === '' ? [] : value.split(',')) {
    const [pattern = '', letters, ...more] = item.split('=').map(part => part.trim())
    const right = RIGHTS.get(letters)
    if (right === undefined || more.length > 0) return fail('a rule is repository=r, repository=rw or repository= (nothing)')
    if (pattern.length > MAX_PATTERN || UNCLEAN.test(pattern) || NO_PATTERN.test(pattern)) {
      fail('a repository is a path like team/app, without / at its ends or . and .. in it; only * is a wildcard')
    }
    const name = bareName(pattern.replace(/\*+/g, '*'))
    if ((rights.get(name) ?? right) !== right) fail('two different rights for one repository')
    rights.set(name, right)
  }
  const exact = new Map([...rights].filter(([name]) => !name.includes('*')))
  const globs = [...rights].filter(([name]) => name.includes('*'))
    .map(([name, right]) => ({ right, literals: name.split('*'), prefix: name.indexOf('*'), length: name.replaceAll('*', '').length }))
    .sort((a, b) => b.prefix - a.prefix || b.length - a.length || RANK[a.right] - RANK[b.right])
  return { exact, globs }
}

function lookUp (rules: UserRules | undefined, name: string): Right {
  return rules?.exact.get(name) ?? rules?.globs.find(({ literals }) => matches(literals, name))?.right ?? 'none'
}

/** Leftmost places suffice when `*` is the only wildcard, so nothing is ever tried twice. */
function matches (literals: readonly string[], name: string): boolean {
  const [first = '', last = ''] = [literals[0], literals.at(-1)]
  const end = name.length - last.length
  if (!name.startsWith(first) || !name.endsWith(last)) return false
  let from = first.length
  for (const literal of literals.slice(1, -1)) {
    const at = name.indexOf(literal, from)
    if (at < 0) return false
    from = at + literal.length
  }
  return from <= end
}

/** git finds `app.git` and `app/.git` under the name `app` (path.c, enter_repo), so all of these are one name. */
function bareName (name: string): string {
  let end = name.length
  for (;;) {
    if (name.endsWith('.git', end)) end -= 4
    else if (name.endsWith('/', end)) end--
    else return name.slice(0, end)
  }
}
