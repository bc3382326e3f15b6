import { realpath } from 'node:fs/promises'
import { basename } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import { findRepositories, type Found } from '../repository/find.ts'
import { cloneLine, quote } from '../web/clone-line.ts'
import type { ServeSettings } from './arguments.ts'

/** Milliseconds that the search for repositories may delay the announcement. */
const SEARCH = 3_000

/** Where the server listens. */
export interface Place {
  /** Real path of the served folder. */
  root: string
  tls: boolean
  host: string | undefined
  port: number
  prefix: string
}

/** Tells on stdout that the server is ready. */
export async function announce (settings: ServeSettings, port: number, log: FastifyBaseLogger): Promise<void> {
  if (settings.allowPush && !isLoopback(settings.host)) {
    log.warn(`--allow-push: whoever reaches port ${port} of this machine can change every repository, without a password`)
  }
  const root = await realpath(settings.root)
  const found = await findRepositories(root, { signal: AbortSignal.timeout(SEARCH) })
  process.stdout.write(announcement({ ...settings, root, port, tls: settings.tls !== undefined }, found))
}

/** What the command prints when it is ready: where, how many repositories, and a line to paste. */
export function announcement (place: Place, found: Found): string {
  const url = serverUrl(place)
  return `Serving ${place.root} at ${url}\n${summary(place.root, found)}\n${cloneLine(url, found.names[0] ?? 'name.git', basename(place.root))}\n`
}

/** With a slash at its end. */
function serverUrl ({ tls, host, port, prefix }: Place): string {
  const name = isEveryInterface(host) ? 'localhost' : host.includes(':') ? `[${host}]` : host
  return `${tls ? 'https' : 'http'}://${name}:${port}${prefix}/`
}

/** True when no other machine can connect. */
export function isLoopback (host: string | undefined): boolean {
  return host !== undefined && /^(?:localhost|::1|127(?:\.\d{1,3}){3})$/.test(host)
}

function isEveryInterface (host: string | undefined): host is undefined {
  return host === undefined || host === '::' || host === '0.0.0.0'
}

function summary (root: string, { names, complete }: Found): string {
  if (names.length === 0 && !complete) return 'no repositories found so far, the folder is large'
  if (!complete) return `more than ${names.length} ${names.length === 1 ? 'repository' : 'repositories'}`
  if (names.length === 0) return `0 repositories; make one with: git init --bare ${quote(`${root === '/' ? '' : root}/name.git`)}`
  return names.length === 1 ? '1 repository' : `${names.length} repositories`
}
