import Fastify, { type FastifyRequest } from 'fastify'
import { expect, test } from 'tstyche'
import gitHttp, {
  errors, gitHttp as named, type Authorize, type GitHttp, type GitHttpOptions, type GitOperation, type Verdict
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
