import type { TestContext } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import gitHttp, { type GitHttpOptions } from '../../lib/index.ts'
import { createDirectStarter } from '../../lib/git/starter.ts'
import { web, type WebOptions } from '../../lib/web/index.ts'

export interface Pages {
  app: FastifyInstance
  /** Where it listens; without a slash at its end, prefix included. */
  url: string
  /** Problems that were logged. */
  problems: string[]
}

export interface PagesSetup {
  /** Options of the git plugin beside the pages. */
  git?: Partial<GitHttpOptions>
  listen?: boolean
}

/** The pages beside the git plugin, as a host would register them; closed when the test ends. */
export async function startPages (t: Pick<TestContext, 'after'>, options: WebOptions, { git = {}, listen = false }: PagesSetup = {}): Promise<Pages> {
  const problems: string[] = []
  const app: FastifyInstance = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { problems.push(line) } } } })
  const { root, prefix } = options
  await app.register(gitHttp, { root, prefix, spawner: { processes: 0 }, ...git } as GitHttpOptions)
  await app.register(web, { starter: createDirectStarter('git'), ...options })
  t.after(async () => { await app.close() })
  await app.ready()
  if (listen) await app.listen({ port: 0, host: '127.0.0.1' })
  const port = listen ? (app.addresses()[0] as { port: number }).port : 0
  return { app, problems, url: `http://localhost:${port}${prefix ?? ''}` }
}
