import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { FakeSource } from './fake-source.ts'
import { startPages } from './pages.ts'

async function watch (url: string): Promise<IncomingMessage> {
  const [response] = await once(get(`${url}/-/events`), 'response') as [IncomingMessage]
  return response.setEncoding('utf8')
}

/** Reads until the text so far matches. */
async function readUntil (response: IncomingMessage, wanted: RegExp): Promise<string> {
  let text = ''
  while (!wanted.test(text)) text += String((await once(response, 'data'))[0])
  return text
}

test('events tell what changes, of readable repositories only', async (t) => {
  const root = await temporaryFolder(t)
  for (const name of ['open.git', 'private.git']) await makeRepository(root, name, { commits: 0 })
  const source = new FakeSource()
  const { url } = await startPages(t, { root, status: source, canRead: (repository) => repository === 'open.git' }, { listen: true })
  const response = await watch(url)
  assert.deepEqual([response.headers['content-type'], response.headers['cache-control']], ['text/event-stream', 'no-store, private'])
  await readUntil(response, /"operations":\[\]/)
  source.begin({ repository: 'private.git' })
  source.begin({ repository: 'open.git', phase: 'counting' })
  const text = await readUntil(response, /counting/)
  assert.match(text, /"repository":"open\.git","href":"\/open\.git\/"/)
  assert.doesNotMatch(text, /private/)
  response.destroy()
})

test('closing the server ends those who watch', async (t) => {
  const { app, url } = await startPages(t, { root: await temporaryFolder(t), status: new FakeSource() }, { listen: true })
  const responses = [await watch(url), await watch(url)]
  const ended = responses.map(async (response) => { await once(response.resume(), 'end') })
  await app.close()
  await Promise.all(ended)
})

test('HEAD does not watch, and the 65th is told to come back', async (t) => {
  const { app, url } = await startPages(t, { root: await temporaryFolder(t), status: new FakeSource() }, { listen: true })
  assert.deepEqual([(await app.inject({ url: '/-/events', method: 'HEAD' })).headers['content-type']], ['text/event-stream'])
  const watching = await Promise.all(Array.from({ length: 64 }, async () => await watch(url)))
  const { statusCode, headers } = await watch(url)
  assert.deepEqual([statusCode, headers['retry-after']], [503, '5'])
  for (const response of watching) response.destroy()
})
