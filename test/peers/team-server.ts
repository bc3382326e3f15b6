import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { startServer, type Setup, type TestServer } from '../fixtures/server.ts'

/** What the host saw of a request. */
export interface Seen {
  method: string
  url: string
  headers: Record<string, string | string[] | undefined>
}

export interface TeamServer extends TestServer {
  /** Of the test; holds `repositories` and is free for more. */
  folder: string
  /** Path of the bare repository `team/app.git`, which has three commits on main. */
  repository: string
  /** Every request so far. */
  seen: Seen[]
}

export const USER = 'alice'
export const PASSWORD = 'open:sesame'

/** A server, under `/git` unless told otherwise, where only alice reads and writes, with one repository. */
export async function startTeamServer (t: TestContext, setup: Setup = {}, prefix = '/git'): Promise<TeamServer> {
  const folder = await temporaryFolder(t)
  const root = join(folder, 'repositories')
  const repository = await makeRepository(root, 'team/app.git', { commits: 3 })
  const seen: Seen[] = []
  const server = await startServer(t, {
    prefix,
    root,
    publicRead: false,
    authenticate: ({ username, password }) => username === USER && password === PASSWORD ? username : null
  }, {
    ...setup,
    before: async (app) => {
      app.addHook('onRequest', async ({ method, url, headers }) => { seen.push({ method, url, headers }) })
      await setup.before?.(app)
    }
  })
  return { ...server, folder, repository, seen }
}
