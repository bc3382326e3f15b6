/** Longest `Git-Protocol` header that is forwarded, in characters. */
const MAX_PROTOCOL_LENGTH = 256
/** Colon-separated keys or `key=value` (git(1), GIT_PROTOCOL); nothing that a shell or a log could misread. */
const PROTOCOL_GRAMMAR = /^[A-Za-z0-9_.-]+(?:=[A-Za-z0-9_.-]*)?(?::[A-Za-z0-9_.-]+(?:=[A-Za-z0-9_.-]*)?)*$/

/** The header's value when it matches its grammar; anything else counts as absent. */
export function cleanProtocol (header: string | string[] | undefined): string | undefined {
  if (typeof header !== 'string' || header.length > MAX_PROTOCOL_LENGTH) return undefined
  return PROTOCOL_GRAMMAR.test(header) ? header : undefined
}

/** The highest version that the client asks for (protocol.c, determine_protocol_version_server). */
export function protocolVersion (protocol: string | undefined): 0 | 1 | 2 {
  const keys = protocol?.split(':') ?? []
  if (keys.includes('version=2')) return 2
  return keys.includes('version=1') ? 1 : 0
}

/** Capabilities behind the NUL of a first command or `want` line (gitprotocol-capabilities(5)). */
export function pushCapabilities (firstCommand: Buffer): string[] {
  const nul = firstCommand.indexOf(0)
  return nul < 0 ? [] : firstCommand.toString('latin1', nul + 1).trim().split(' ')
}
