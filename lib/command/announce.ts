import { basename } from 'node:path'
import type { Found } from '../repository/find.ts'

/** Where the server listens. */
export interface Place {
  /** Real path of the served folder. */
  root: string
  tls: boolean
  host: string | undefined
  port: number
  prefix: string
}

/** What the command prints when it is ready: where, how many repositories, and a line to paste. */
export function announcement (place: Place, found: Found): string {
  const url = serverUrl(place)
  return `Serving ${place.root} at ${url}\n${summary(place.root, found)}\n${cloneLine(place.root, url, found.names[0] ?? 'name.git')}\n`
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

function cloneLine (root: string, url: string, name: string): string {
  const path = name.split('/').map(encodeSegment).join('/')
  const last = name === '' ? basename(root) : basename(name)
  const folder = last.replace(/(?!^)\.git$/, '')
  // git names the new folder after the URL, which names no folder for root itself and is escaped for others.
  const destination = name === '' || encodeSegment(last) !== last ? [quote(/^[-~]/.test(folder) ? `./${folder}` : folder || 'repository')] : []
  return ['git', 'clone', quote(url + path), ...destination].join(' ')
}

/** encodeURIComponent, and the marks that it leaves and a shell would read. */
function encodeSegment (segment: string): string {
  return encodeURIComponent(segment).replace(/[!'()*~]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`)
}

function quote (word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll('\'', '\'\\\'\'')}'`
}
