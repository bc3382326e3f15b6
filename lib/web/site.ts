import type { FastifyRequest } from 'fastify'
import { encodeName } from './clone-line.ts'

/** What every page needs to know about the server. */
export interface Site {
  title: string
  /** Whether logging in is offered. */
  login: boolean
  /** Whether there is a status page. */
  status: boolean
  /** Addresses of pages, as paths. No repository's name begins with a dash (repository/path.ts), so `-/` is free. */
  links: Links
}

export interface Links {
  home: string
  status: string
  events: string
  stylesheet: string
  script: string
  icon: string
  logout: string
  login (to: string): string
  repository (name: string): string
  list (parameters: { q?: string, after?: string, before?: string }): string
}

/** `prefix` is empty, or `/path` without a slash at its end. */
export function linksBelow (prefix: string): Links {
  const home = `${prefix}/`
  return {
    home,
    status: `${home}-/status`,
    events: `${home}-/events`,
    stylesheet: `${home}-/style.css`,
    script: `${home}-/script.js`,
    icon: `${home}-/icon.svg`,
    logout: `${home}-/logout`,
    login: (to) => `${home}-/login${to === '' ? '' : `?to=${encodeURIComponent(to)}`}`,
    repository: (name) => name === '' ? home : `${home}${encodeName(name)}/`,
    list: (parameters) => {
      const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== '')
      return given.length === 0 ? home : `${home}?${new URLSearchParams(given).toString()}`
    }
  }
}

/** Names and addresses with a port; anything else in a Host header is nobody's address. */
const HOST = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i

/** Where clone lines of this request's page point, with a slash at the end. `home` is the path of the top. */
export function cloneBase (request: FastifyRequest, home: string, url: string | undefined): string {
  if (url !== undefined) return `${url}/`
  const host = HOST.test(request.host) ? request.host : 'localhost'
  return `${request.protocol}://${host}${home}`
}

/** The parameters of a query, each at most once. Read from the raw URL: a host may have its own query parser. */
export function queryOf (request: FastifyRequest): { get (name: string): string | undefined, has (name: string): boolean } {
  const url = request.raw.url ?? ''
  const start = url.indexOf('?')
  const parameters = new URLSearchParams(start < 0 ? '' : url.slice(start + 1))
  return { get: (name) => parameters.get(name) ?? undefined, has: (name) => parameters.has(name) }
}
