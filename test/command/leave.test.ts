import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { readArguments } from '../../lib/command/arguments.ts'
import { createLog } from '../../lib/command/log.ts'
import { createApp, type Served } from '../../lib/command/server.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { eventually } from '../fixtures/processes.ts'
import { makeRepository } from '../fixtures/repository.ts'

const AGES = 600_000

async function serve (t: TestContext): Promise<Served & { port: number }> {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const command = readArguments(['--root', root])
  assert.ok(command.run === 'serve')
  const served = await createApp(command.settings, { log: createLog('silent', false), worker: { id: 1, count: 1, all: (own) => own } })
  t.after(async () => { await served.app.close() })
  await served.app.listen({ port: 0, host: '127.0.0.1' })
  return { ...served, port: (served.app.server.address() as AddressInfo).port }
}

/** A fetch that stands still in the middle of its request. */
async function halfFetch (t: TestContext, { app, port }: Awaited<ReturnType<typeof serve>>): Promise<() => Promise<void>> {
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.on('error', () => {}).resume()
  socket.write('POST /app.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-git-upload-pack-request\r\nContent-Length: 100\r\n\r\n0011')
  await eventually(async () => app.gitHttp.active === 1, 10_000, 'it is in flight')
  return async () => {
    socket.destroy()
    await eventually(async () => app.gitHttp.active === 0, 10_000, 'it is over')
  }
}

test('who is told to leave lets nobody in, but answers once more who is in: a proxy may send a request at that moment', async (t) => {
  const served = await serve(t)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  const ask = async (): Promise<IncomingMessage> => {
    const [response] = await once(get({ port: served.port, path: '/-/live', agent }), 'response') as [IncomingMessage]
    await once(response.resume(), 'end')
    return response
  }
  const first = await ask()
  assert.equal(first.headers.connection, 'keep-alive')
  const left = served.leave({ anyone: AGES, transfers: AGES })
  const refused = connect(served.port, '127.0.0.1')
  assert.equal(((await once(refused, 'error')) as [NodeJS.ErrnoException])[0].code, 'ECONNREFUSED')
  const second = await ask()
  assert.deepEqual([second.statusCode, second.headers.connection], [200, 'close'])
  // Now nobody is there any more.
  await left
})

test('transfers are waited for longer than anyone else', async (t) => {
  const served = await serve(t)
  const end = await halfFetch(t, served)
  let isOver = false
  const left = served.leave({ anyone: 0, transfers: AGES }).then(() => { isOver = true })
  await served.leave({ anyone: 0, transfers: 300 })
  assert.equal(isOver, false, 'the fetch is waited for')
  await end()
  await left
})

test('a transfer that takes too long does not keep a server that is told to leave', async (t) => {
  const served = await serve(t)
  await halfFetch(t, served)
  await served.leave({ anyone: 0, transfers: 0 })
  assert.equal(served.app.gitHttp.active, 1)
})

test('somebody who watches the status page does not keep a server that is told to leave', async (t) => {
  const served = await serve(t)
  const [events] = await once(get({ port: served.port, path: '/-/events' }), 'response') as [IncomingMessage]
  t.after(() => events.destroy())
  events.on('error', () => {}).resume()
  await served.leave({ anyone: 0, transfers: AGES })
})
