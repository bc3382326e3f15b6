import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { resolveOptions } from '../options.ts'
import { Failure } from './failure.ts'

/** Everything that can be said on the command line, as it is parsed and as `--help` shows it. */
const OPTIONS: Array<{ name: string, value?: string, text: string, fallback?: string }> = [
  { name: 'root', value: 'FOLDER', text: 'serve the repositories in FOLDER, at any depth', fallback: 'the current folder' },
  { name: 'port', value: 'PORT', text: 'listen on PORT; 0 takes a free one', fallback: '8080' },
  { name: 'host', value: 'ADDRESS', text: 'listen on ADDRESS only', fallback: 'all interfaces' },
  { name: 'prefix', value: '/PATH', text: 'start every URL with /PATH', fallback: 'none' },
  { name: 'access-file', value: 'FILE', text: 'users and their rights, an ini file', fallback: 'none' },
  { name: 'realm', value: 'TEXT', text: 'what a password prompt calls this server', fallback: 'git' },
  { name: 'allow-push', text: 'let anybody push, without a password', fallback: 'off' },
  { name: 'tls-cert', value: 'FILE', text: 'serve HTTPS and HTTP/2: certificate chain, PEM', fallback: 'off' },
  { name: 'tls-key', value: 'FILE', text: 'its private key, PEM', fallback: 'off' },
  { name: 'trust-proxy', text: 'believe X-Forwarded-For of the proxy in front', fallback: 'off' },
  { name: 'no-web', text: 'serve git only, no pages for browsers', fallback: 'off' },
  { name: 'workers', value: 'N', text: 'serve with N processes, or auto: one for each core; SIGHUP replaces them', fallback: 'this process alone' },
  { name: 'metrics-port', value: 'PORT', text: 'serve figures for Prometheus at /metrics on PORT (needs the package prom-client)', fallback: 'off' },
  { name: 'metrics-host', value: 'ADDRESS', text: 'listen for that on ADDRESS', fallback: 'localhost' },
  { name: 'log-level', value: 'LEVEL', text: 'fatal, error, warn, info, debug, trace or silent', fallback: 'info' },
  { name: 'help', text: 'print this' },
  { name: 'version', text: 'print the version' }
]
/** More are no faster, and each has memory of its own. */
const MAX_WORKERS = 256
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']
const CONFIG = Object.fromEntries(OPTIONS.map(({ name, value }) => [name, { type: value === undefined ? 'boolean' : 'string' } as const]))

/** What the server is to do. */
export interface ServeSettings {
  root: string
  port: number
  /** undefined: all interfaces. */
  host: string | undefined
  /** Empty, or `/path` without a slash at its end. */
  prefix: string
  accessFile: string | undefined
  realm: string | undefined
  allowPush: boolean
  tls: { cert: string, key: string } | undefined
  trustProxy: boolean
  /** Pages for browsers. */
  web: boolean
  /** Processes besides this one; undefined: this one serves alone. */
  workers: number | undefined
  metrics: { port: number, host: string } | undefined
  logLevel: string
}

export type Command =
  | { run: 'help' }
  | { run: 'version' }
  | { run: 'passwd', name: string }
  | { run: 'serve', settings: ServeSettings }

/** The text of `--help`. */
export function usage (): string {
  const heads = OPTIONS.map(({ name, value }) => `--${name}${value === undefined ? '' : ` ${value}`}`)
  const width = Math.max(...heads.map((head) => head.length))
  const lines = OPTIONS.map(({ text, fallback }, i) =>
    `  ${(heads[i] as string).padEnd(width)}  ${text}${fallback === undefined ? '' : ` (default: ${fallback})`}\n`)
  return 'Serves the git repositories of a folder over HTTP.\n\n' +
    'Usage: fastify-git-http [options]\n' +
    '       fastify-git-http passwd NAME    print a line with a password for the access file\n\n' +
    `Options:\n${lines.join('')}`
}

/**
 * Reads the command line (without node and script).
 *
 * @throws Failure with exit code 2 that names what is wrong.
 */
export function readArguments (args: string[]): Command {
  const { values, positionals } = parse(args)
  if (values['help'] === true) return { run: 'help' }
  if (values['version'] === true) return { run: 'version' }
  if (positionals[0] === 'passwd') {
    const [, name, ...more] = positionals
    if (name === undefined || more.length > 0 || Object.keys(values).length > 0) throw wrong('passwd takes one name and nothing else')
    return { run: 'passwd', name }
  }
  if (positionals.length > 0) throw wrong(`unexpected argument '${positionals[0]}'`)
  return { run: 'serve', settings: readSettings(values) }
}

type Values = Record<string, string | boolean | undefined>

function parse (args: string[]): { values: Values, positionals: string[] } {
  try {
    return parseArgs({ args, options: CONFIG, allowPositionals: true, strict: true }) as { values: Values, positionals: string[] }
  } catch (error) {
    // The first sentence says it; the rest is advice about positional arguments.
    const [first = ''] = (error as Error).message.split(/\.?(?:\s*\n|\. )|\.$/)
    throw wrong(first)
  }
}

function readSettings (values: Values): ServeSettings {
  const text = (name: string): string | undefined => {
    const value = values[name] as string | undefined
    if (value === '') throw wrong(`--${name} is empty`)
    return value
  }
  const settings: ServeSettings = {
    root: text('root') ?? '.',
    port: readPort('port', text('port') ?? '8080'),
    host: text('host')?.replace(/^\[(.*)\]$/, '$1'),
    prefix: readPrefix(text('prefix') ?? '/'),
    accessFile: text('access-file'),
    realm: text('realm'),
    allowPush: values['allow-push'] === true,
    tls: readTls(text('tls-cert'), text('tls-key')),
    trustProxy: values['trust-proxy'] === true,
    web: values['no-web'] !== true,
    workers: readWorkers(text('workers')),
    metrics: readMetrics(text('metrics-port'), text('metrics-host')),
    logLevel: text('log-level') ?? 'info'
  }
  if (!LOG_LEVELS.includes(settings.logLevel)) throw wrong(`--log-level must be one of ${LOG_LEVELS.join(', ')}, not '${settings.logLevel}'`)
  checkRealm(settings)
  return settings
}

function readPort (name: string, text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw wrong(`--${name} must be a number from 0 to 65535, not '${text}'`)
  return Number(text)
}

function readWorkers (text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (text === 'auto') return availableParallelism()
  if (!/^\d{1,3}$/.test(text) || Number(text) < 1 || Number(text) > MAX_WORKERS) throw wrong(`--workers must be auto or a number from 1 to ${MAX_WORKERS}, not '${text}'`)
  return Number(text)
}

function readMetrics (port: string | undefined, host: string | undefined): ServeSettings['metrics'] {
  if (port !== undefined) return { port: readPort('metrics-port', port), host: host ?? 'localhost' }
  if (host !== undefined) throw wrong('--metrics-host needs --metrics-port')
  return undefined
}

/** A prefix becomes a route, in which `:` and `*` have a meaning. */
function readPrefix (text: string): string {
  const prefix = text.replace(/\/$/, '')
  if (!/^(?:\/[\w.~-]+)*$/.test(prefix)) throw wrong(`--prefix must be a path like /git of letters, digits, - . _ and ~, not '${text}'`)
  return prefix
}

function readTls (cert: string | undefined, key: string | undefined): ServeSettings['tls'] {
  if (cert === undefined && key === undefined) return undefined
  if (cert === undefined || key === undefined) throw wrong('--tls-cert and --tls-key belong together')
  return { cert, key }
}

/** The plugin has the rule. */
function checkRealm ({ root, realm }: ServeSettings): void {
  try {
    resolveOptions({ root, realm })
  } catch (error) {
    throw wrong((error as Error).message.replace(/^.*option 'realm'/, '--realm'))
  }
}

function wrong (message: string): Failure {
  return new Failure(`${message} (--help shows every option)`, 2)
}
