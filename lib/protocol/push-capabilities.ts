import type { PushHead } from './push-head.ts'

type PushCapabilities = Pick<PushHead, 'capabilities' | 'objectFormat' | 'agent' | 'sessionId'>

/** Longest list, so that it fits behind any command. git's own is about 150 bytes. */
const MAX_LENGTH = 32_768
const PRINTABLE = /^[\u0020-\u007e]*$/
/** Those without a value, for which git takes one for the name alone: `atomic=no` would be atomic (connect.c, parse_feature_value). */
const FLAGS = new Set(['report-status', 'report-status-v2', 'side-band-64k', 'quiet', 'atomic', 'ofs-delta', 'delete-refs', 'push-options'])
const VALUED = new Set(['object-format', 'agent', 'session-id', 'push-cert'])

/**
 * What stands behind the NUL of a push's first line. A string is the reason why it is refused. git takes the first of two
 * values and any white space for the end of a name, so both are refused.
 */
export function parsePushCapabilities (list: string): PushCapabilities | string {
  if (list.trim().length > MAX_LENGTH) return 'the capabilities are too long'
  if (!PRINTABLE.test(list)) return 'a capability holds a character that none may hold'
  const capabilities = list.split(' ').filter((part) => part !== '')
  const values = new Map<string, string>()
  for (const part of capabilities) {
    const [name = '', ...value] = part.split('=')
    if (!FLAGS.has(name) && !VALUED.has(name)) continue
    if (FLAGS.has(name) && value.length > 0) return `capability ${name} takes no value`
    if (VALUED.has(name) && value.length === 0) return `capability ${name} needs a value`
    if (values.has(name)) return `capability ${name} is given twice`
    values.set(name, value.join('='))
  }
  // No object format is SHA-1, whatever the repository has (gitprotocol-capabilities(5), "object-format").
  const objectFormat = values.get('object-format') ?? 'sha1'
  if (objectFormat !== 'sha1' && objectFormat !== 'sha256') return 'the object format is unknown'
  return { capabilities, objectFormat, agent: values.get('agent') ?? null, sessionId: values.get('session-id') ?? null }
}
