import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Locate } from '../repository/locate.ts'
import type { ReadContents } from './contents.ts'
import type { Folders } from './folders.ts'
import type { ResolvedWebOptions } from './options.ts'
import type { Site } from './site.ts'
import type { StatusEvents } from './status-events.ts'
import type { ReadFigures } from './summary.ts'

/** What the pages of one registration share. */
export interface WebContext {
  options: ResolvedWebOptions
  site: Site
  folders: Folders
  locate: Locate
  readFigures: ReadFigures
  readContents: ReadContents
  /** null without a status page. */
  events: StatusEvents | null
}

/** A request for a page, by somebody who is known or null. */
export interface Visit {
  request: FastifyRequest
  reply: FastifyReply
  user: string | null
}

/** Answers a visit. */
export type Show = (context: WebContext, visit: Visit) => Promise<FastifyReply>
