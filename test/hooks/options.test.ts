import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify from 'fastify'
import gitHttp, { type GitHttpOptions } from '../../lib/index.ts'

test('wrong hooks are refused at registration, by name', async () => {
  const wrong: Array<[string, object]> = [
    ['hooks', [] as object],
    ['hooks.onpush', { onpush: () => {} }],
    ...['onFetch', 'onPush', 'preReceive', 'postReceive', 'onFinish', 'transformRequest', 'transformResponse'].map((name): [string, object] => [`hooks.${name}`, { [name]: true }]),
    ['hooks.partial', { partial: 'yes' }],
    ['hooks.deadline', { deadline: 0 }],
    ['hooks.deadline', { deadline: Infinity }]
  ]
  for (const [name, hooks] of wrong) {
    const registered = async (): Promise<void> => { await Fastify().register(gitHttp, { root: '/nonexistent', hooks } as GitHttpOptions) }
    await assert.rejects(registered, ({ code, message }: Error & { code: string }) => code === 'FST_GIT_INVALID_OPTION' && message.includes(`'${name}'`), name)
  }
})
