/** What git inherits from the server. Anything else (GIT_DIR, GIT_TRACE*, LD_PRELOAD, ...) would let a setting of the server's shell steer every repository. */
const INHERITED = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'XDG_CONFIG_HOME', 'GNUPGHOME']

/** The allowlisted part of the server's own environment. */
export function inheritedEnvironment (source: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const [name, value] of Object.entries(source)) {
    if (value !== undefined && (INHERITED.includes(name) || name.startsWith('LC_'))) environment[name] = value
  }
  return environment
}

export interface RequestEnvironment {
  user: string | null
  /** The client's address as Fastify sees it (`trustProxy` decides); a connection that is closed has none any more. */
  address: string | undefined
  /** A `Git-Protocol` value that passed its grammar. */
  protocol?: string
  /** `GIT_NAMESPACE`. */
  namespace?: string
}

/**
 * What a repository's hooks learn about the request, computed as git's http-backend.c
 * does in run_service().
 */
export function requestEnvironment ({ user, address = '', protocol, namespace }: RequestEnvironment): Record<string, string> {
  const name = user === null ? 'anonymous' : printable(user)
  // A socket that listens on IPv6 and IPv4 shows an IPv4 client as ::ffff:192.0.2.1.
  const remote = address.replace(/^::ffff:(?=\d+\.)/i, '')
  const environment: Record<string, string> = {
    REMOTE_ADDR: remote,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: `${name}@http.${remote}`
  }
  if (user !== null) environment['REMOTE_USER'] = name
  if (protocol !== undefined) environment['GIT_PROTOCOL'] = protocol
  if (namespace !== undefined) environment['GIT_NAMESPACE'] = namespace
  return environment
}

/** A user name may come from anywhere; a newline in it would forge lines in whatever a hook writes. */
export function printable (text: string): string {
  return text.replace(/\p{Cc}/gu, '?')
}

/**
 * Settings that every push gets, so that what a client saw succeed survives a power cut
 * and broken objects stay out. The three exceptions occur in real, old histories.
 */
const PUSH_CONFIG: Record<string, string> = {
  'core.fsync': 'objects,derived-metadata,reference',
  'transfer.fsckObjects': 'true',
  'receive.fsck.badTimezone': 'ignore',
  'receive.fsck.missingSpaceBeforeDate': 'ignore',
  'receive.fsck.zeroPaddedFilemode': 'ignore'
}

/**
 * git's own options before the subcommand. `safe.directory` names the one repository:
 * git refuses a foreign owner's otherwise, and `*` would lift that for alternates too.
 */
export function gitOptions (directory: string, config: Record<string, string>, write = false): string[] {
  const settings = { ...(write ? PUSH_CONFIG : {}), ...config, 'safe.directory': directory }
  return Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])
}
