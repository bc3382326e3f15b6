import type { FastifyRequest } from 'fastify'
import type { Context } from '../context.ts'
import { GitFailedError, isOurs, ServiceDisabledError } from '../errors.ts'
import type { GitOperation, Service } from '../operation.ts'
import { openGitDirectory } from '../repository/git-directory.ts'
import type { WebOptions } from './options.ts'

/** Who sees what on the pages. */
export type PageAccess = Required<Pick<WebOptions, 'user' | 'canRead' | 'canPush'>>

/**
 * Lets the pages ask what git's own routes ask: a repository is shown to whoever could fetch it, by the rules of one
 * registration of the git plugin.
 */
export function pageAccess ({ identify, access, readConfig }: Pick<Context, 'identify' | 'access' | 'readConfig'>): PageAccess {
  // A password is checked once for a request, not once for each repository.
  const users = new WeakMap<FastifyRequest, string | null>()

  return {
    user: async (request, reply) => {
      const user = await identify(request, reply)
      users.set(request, user)
      return user
    },
    canRead: async (repository, directory, request) =>
      // Where fetching is turned off, files may still be served.
      await may('upload-pack', repository, directory, request) ?? await may('dumb', repository, directory, request) ?? false,
    canPush: async (repository, directory, request) => await may('receive-pack', repository, directory, request) ?? false
  }

  /** null: it is not refused to this user, it is turned off. */
  async function may (service: Service, repository: string, directory: string, request: FastifyRequest): Promise<boolean | null> {
    const operation: GitOperation = {
      repository,
      directory,
      service,
      phase: service === 'dumb' ? 'file' : 'advertise',
      access: service === 'receive-pack' ? 'write' : 'read',
      user: users.get(request) ?? null,
      protocol: 0
    }
    try {
      await access.decide(operation, request, async () => {
        // Asked for only when the operation is otherwise permitted: thousands of repositories may not be.
        const found = await openGitDirectory(directory, null)
        if (found === null) throw new GitFailedError()
        return (await readConfig(found)).settings
      })
      return true
    } catch (error) {
      if (error instanceof ServiceDisabledError) return null
      if (isOurs(error) && (error as { statusCode?: number }).statusCode as number < 500) return false
      // A repository that git cannot read is none.
      if (error instanceof GitFailedError) return false
      throw error
    }
  }
}
