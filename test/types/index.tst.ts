import { PassThrough, type Readable } from 'node:stream'
import Fastify, { type FastifyRequest } from 'fastify'
import { expect, test } from 'tstyche'
import gitHttp, {
  errors, gitHttp as named, type Authorize, type GitFetch, type GitHttp, type GitHttpHooks, type GitHttpOptions, type GitOperation, type GitPush,
  type OperationSummary, type Outcome, type PostReceive, type PreReceive, type Verdict
} from '../../lib/index.ts'

const app = Fastify()

test('default and named import are the same plugin, on any kind of server', () => {
  expect(named).type.toBe<typeof gitHttp>()
  expect(app.register).type.toBeCallableWith(gitHttp, { root: '/srv/git' })
  expect(app.register).type.toBeCallableWith(gitHttp, { prefix: '/git', resolve: async () => null, publicRead: false })
  expect(Fastify({ http2: true }).register).type.toBeCallableWith(gitHttp, { root: '/srv/git' })
  expect(Fastify({ https: {} }).register).type.toBeCallableWith(gitHttp, { root: '/srv/git' })
})

test('wrong options do not compile', () => {
  expect(app.register).type.not.toBeCallableWith(gitHttp, { root: 1 })
  expect(app.register).type.not.toBeCallableWith(gitHttp, { root: '/srv/git', nonsense: true })
  expect<{ authorize: () => string }>().type.not.toBeAssignableTo<Pick<GitHttpOptions, 'authorize'>>()
})

test('authorize sees the operation and the request, and answers a verdict', () => {
  const authorize: Authorize = (operation, request) => {
    expect(operation).type.toBe<GitOperation>()
    expect(request).type.toBe<FastifyRequest>()
    return operation.user === 'alice'
  }
  expect(authorize).type.toBeAssignableTo<NonNullable<GitHttpOptions['authorize']>>()
  expect<boolean>().type.toBeAssignableTo<Verdict>()
  expect<'hide'>().type.toBeAssignableTo<Verdict>()
  expect<{ allow: true, user: string }>().type.toBeAssignableTo<Verdict>()
  expect<{ allow: false, reason: string, status: 429, headers: { 'retry-after': string } }>().type.toBeAssignableTo<Verdict>()
  expect<'maybe'>().type.not.toBeAssignableTo<Verdict>()
  expect<{ allow: true }>().type.not.toBeAssignableTo<Verdict>()
})

test('the instance is decorated, and errors are exported with their codes', () => {
  expect(app.gitHttp).type.toBe<GitHttp>()
  expect(new errors.ForbiddenError().code).type.toBe<'FST_GIT_FORBIDDEN'>()
})

test('hooks see what the README says, and answer nothing', () => {
  const hooks: GitHttpHooks = {
    onFetch: (fetch) => {
      expect(fetch).type.toBe<GitFetch>()
      expect(fetch.wants).type.toBe<readonly string[]>()
      expect(fetch.depth).type.toBe<number | undefined>()
      expect(fetch.reject('no')).type.toBe<void>()
    },
    onPush: async (push) => {
      expect(push).type.toBe<GitPush>()
      expect(push.operation).type.toBe<GitOperation>()
      expect(push.request).type.toBe<FastifyRequest>()
      for (const { kind, touches } of push.commands) {
        expect(kind).type.toBe<'create' | 'update' | 'delete'>()
        expect(touches).type.toBe<string[]>()
      }
      push.reject('refs/heads/main', 'protected branch')
      push.rejectAll('no')
      push.message('hello')
    },
    preReceive: async (push) => {
      expect(push).type.toBe<PreReceive>()
      const { stdout, exited } = await push.git(['log', '--format=%s'])
      expect(stdout).type.toBe<Readable>()
      expect((await exited).code).type.toBe<number | null>()
    },
    postReceive: (push) => {
      expect(push).type.toBe<PostReceive>()
      expect(push).type.not.toHaveProperty('reject')
      expect(push.environment).type.toBe<Record<string, string>>()
    },
    onFinish: (summary) => {
      expect(summary).type.toBe<OperationSummary>()
      expect(summary.outcome).type.toBe<Outcome>()
      expect(summary.operation).type.toBe<GitOperation | null>()
    },
    transformRequest: (operation, request) => {
      expect(operation).type.toBe<GitOperation>()
      expect(request).type.toBe<FastifyRequest>()
      return new PassThrough()
    },
    transformResponse: () => null,
    partial: true,
    deadline: 5_000
  }
  expect(app.register).type.toBeCallableWith(gitHttp, { root: '/srv/git', hooks })
  expect(app.register).type.not.toBeCallableWith(gitHttp, { root: '/srv/git', hooks: { onpush: () => {} } })
  expect<{ transformRequest: () => string }>().type.not.toBeAssignableTo<GitHttpHooks>()
})
