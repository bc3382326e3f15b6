/**
 * What git says on stderr when it dies of what a client asks for, and nowhere else: upload-pack.c, serve.c, ls-refs.c, bundle-uri.c, shallow.c,
 * list-objects-filter-options.c and builtin/receive-pack.c, from git 2.39 to 2.55. None of it tells anything of the server: what
 * follows the words is what the client sent, or an object id. Everything else that git dies of may be the server's own trouble.
 */
const COMPLAINTS = new RegExp(`^(?:${[
  'upload-pack: (?:not our ref|filtering capability not negotiated|ambiguous deepen-not|deepen-not is not a ref|deepen and deepen-since|protocol error, |expected SHA1 )',
  'filter \'.*\' not supported',
  'tree filter allows max depth ',
  'no commits selected for shallow requests',
  'Invalid deepen(?:-since)?: ',
  'invalid shallow (?:line: |object )',
  'unknown ref ',
  'duplicate want-ref ',
  '(?:bundle-uri: )?unexpected (?:line|argument): ',
  '(?:(?:bundle-uri|object-info): )?expected flush after ',
  'unknown capability ',
  'unknown object format ',
  'unsupported object format ',
  'object-format capability requires an argument',
  'mismatched object format: ',
  '(?:invalid )?command \'',
  'no command requested',
  'invalid filter-spec ',
  'multiple filter-specs cannot be combined',
  'expected \'tree:<depth>\'',
  'expected something after combine:',
  'must escape char in sub-filter-spec: ',
  'sparse:path filters support has been dropped',
  '\'.*\' for \'object:type=<type>\' is not a valid object type',
  'protocol error: (?:expected (?:old/new/ref|shallow sha), |got )',
  'malformed push certificate '
].join('|')})`)

/**
 * What it says of bytes that are no packets, or that end too early, and of an ERR packet (pkt-line.c). A process that it has started to fetch what
 * it lacks says the same of another server, and git then dies with words of its own: so only where nothing else was fatal.
 */
const FRAMING = /^(?:protocol error: bad line length |the remote end hung up unexpectedly$|remote error: )/

/** What is known of a git that has ended. */
export interface Ended {
  code: number | null
  /** What it wrote there. */
  stderr: string
}

/** Why git refused a request that its client should not have made, in git's own words; null when it ended otherwise (usage.c: die exits with 128). */
export function complaintOf ({ code, stderr }: Ended): string | null {
  if (code !== 128) return null
  // The first one: what stands behind a newline may be the client's words.
  const [words, ...others] = Array.from(stderr.matchAll(/^fatal: (?:git (?=upload-pack: )|error: )?(.+)$/gm), ([, text]) => text as string)
  if (words === undefined) return null
  return COMPLAINTS.test(words) || (others.length === 0 && FRAMING.test(words)) ? words : null
}
