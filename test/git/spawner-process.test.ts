/** The helper itself, told by hand what the server tells it. */
import assert from 'node:assert/strict'
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { connect, Socket } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { helperCommand } from '../../lib/git/helper-command.ts'
import type { HelperMessage, StartRequest } from '../../lib/git/spawner-messages.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { isRunning } from '../fixtures/helpers.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { LOADER, programUrl } from '../fixtures/program.ts'

const ENV = { PATH: process.env['PATH'] ?? '' }

interface Scene {
  child: ChildProcess
  /** What it said, but `ready`, and the handles that came with it. */
  said: HelperMessage[]
  handles: unknown[]
  /** Opens a connection and sends a line. */
  send (line: object | string): Socket
  /** Waits until it has said something of this type about this id. */
  hear<T extends HelperMessage['type']> (type: T, id: number): Promise<Extract<HelperMessage, { type: T }>>
  descriptors (): Promise<number>
}

async function openHelper (t: TestContext): Promise<Scene> {
  const { file, options } = helperCommand()
  const child = fork(file, options)
  const ended = once(child, 'exit')
  t.after(async () => {
    if (child.connected) child.disconnect()
    await ended
  })
  const [{ socket: path }] = await once(child, 'message') as [{ socket: string }]
  const said: HelperMessage[] = []
  const handles: unknown[] = []
  child.on('message', (message, handle) => {
    said.push(message as HelperMessage)
    handles.push(handle)
  })
  return {
    child,
    said,
    handles,
    send: (line) => {
      const socket = connect(path)
      socket.on('error', () => {})
      socket.write(typeof line === 'string' ? line : `${JSON.stringify(line)}\n`)
      t.after(() => { socket.destroy() })
      return socket
    },
    hear: async (type, id) => {
      const found = (): HelperMessage | undefined => said.find((message) => message.type === type && 'id' in message && message.id === id)
      while (found() === undefined) await once(child, 'message')
      return found() as never
    },
    descriptors: async () => (await readdir(`/proc/${child.pid as number}/fd`)).length
  }
}

function request (id: number, script: string, more: Partial<StartRequest> = {}): StartRequest {
  return { id, path: '/bin/sh', args: ['-c', script], env: ENV, input: false, niceness: 0, write: false, ...more }
}

test('a request may come in pieces', async (t) => {
  const { send, hear } = await openHelper(t)
  const line = Buffer.from(`${JSON.stringify(request(1, 'echo äöü'))}\n`)
  const socket = send('')
  await once(socket, 'connect')
  for (let at = 0; at < line.length; at += 7) {
    socket.write(line.subarray(at, at + 7))
    // Enough for the pieces not to be joined.
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(await text(socket), 'äöü\n')
  assert.equal((await hear('exited', 1)).code, 0)
})

for (const [what, line] of [
  ['is no JSON', '{"id":\n'], ['is no request', 'null\n'], ['never ends', 'x'.repeat(9 * 1024 * 1024)]
] as const) {
  test(`a connection whose line ${what} is closed, and the next one served`, async (t) => {
    const { send } = await openHelper(t)
    const bad = send(line)
    bad.resume()
    await new Promise((resolve) => bad.once('close', resolve))
    assert.equal(await text(send(request(1, 'echo served'))), 'served\n')
  })
}

test('connections that end before their start is complete leave nothing', async (t) => {
  const { send, hear, descriptors } = await openHelper(t)
  let before = -1
  await text(send(request(1, 'true')))
  await hear('exited', 1)
  await eventually(async () => before === (before = await descriptors()), 5_000, 'descriptors settle')
  for (const [i, lines] of [
    [{ part: 'stdin' }], [{ part: 'channel' }], ['{"id":'],
    [request(0, 'true', { input: true })], [request(0, 'true', { input: true, write: true })],
    [request(0, 'true', { input: true, write: true, hookFolder: '/nonexistent' }), { part: 'stdin' }]
  ].entries()) {
    const id = 10 + i
    const sockets = lines.map((line) => send(typeof line === 'string' ? line : { ...line, id }))
    await Promise.all(sockets.map(async (socket) => await once(socket, 'connect')))
    await eventually(async () => (await descriptors()) > before, 5_000, 'it has them')
    for (const socket of sockets) socket.destroy()
    await eventually(async () => (await descriptors()) === before, 5_000, `descriptors return: ${JSON.stringify(lines)}`)
  }
  assert.equal(await text(send(request(2, 'echo served'))), 'served\n')
})

test('the parts of a start may come in any order', async (t) => {
  const { send, hear, handles } = await openHelper(t)
  const first = { part: 'stdin' }
  const second = { part: 'channel' }
  for (const [i, order] of [[0, 1, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]].entries()) {
    const id = i + 1
    const lines = [{ ...first, id }, { ...second, id }, request(id, 'read line; echo "$line"; echo "$line" >&3', { input: true, write: i % 2 === 1, hookFolder: '/nonexistent' })]
    const sockets: Socket[] = []
    for (const n of order) {
      sockets[n] = send(lines[n] as object)
      await once(sockets[n] as Socket, 'connect')
    }
    await hear('started', id)
    const stdout = i % 2 === 1 ? handles.findLast((handle) => handle instanceof Socket) as Socket : sockets[2] as Socket
    sockets[0]?.end(`line ${id}\n`)
    assert.equal(await text(stdout), `line ${id}\n`)
    assert.equal(String((await once(sockets[1] as Socket, 'data'))[0]), `line ${id}\n`)
  }
})

test('of a git that writes it tells, in this order: its stdout, its start, its end', async (t) => {
  const { send, hear, said, handles } = await openHelper(t)
  for (let id = 1; id <= 20; id++) send(request(id, 'head -c 150000 /dev/zero', { write: true }))
  for (let id = 1; id <= 20; id++) await hear('started', id)
  const read = await Promise.all(handles.flatMap((handle) => handle instanceof Socket ? [buffer(handle)] : []))
  assert.deepEqual(read.map(({ length }) => length), Array(20).fill(150_000))
  for (let id = 1; id <= 20; id++) {
    await hear('exited', id)
    assert.deepEqual(said.flatMap((message) => 'id' in message && message.id === id ? [message.type] : []), ['stdout', 'started', 'exited'])
  }
})

test('hundreds of starts leave it no descriptor and no child', async (t) => {
  const { child, send, hear, descriptors, handles } = await openHelper(t)
  const some = async (from: number): Promise<void> => {
    for (let id = from; id < from + 20; id++) {
      const more = [{}, { write: true }, { path: '/nonexistent' }, { path: '/nonexistent', write: true }, { hookFolder: '/nonexistent' }][id % 5]
      send(request(id, 'echo x', more)).resume()
      if (id % 5 === 4) send({ id, part: 'channel' }).resume()
    }
    for (let id = from; id < from + 20; id++) await hear(id % 5 === 2 || id % 5 === 3 ? 'failed' : 'exited', id)
    for (const handle of handles) if (handle instanceof Socket) handle.resume()
  }
  const round = async (from: number): Promise<void> => {
    for (let id = from; id < from + 100; id += 20) await some(id)
  }
  await round(1000)
  let settled = -1
  await eventually(async () => settled === (settled = await descriptors()), 5_000, 'descriptors settle')
  await round(2000)
  await round(3000)
  await eventually(async () => await descriptors() <= settled, 5_000, 'descriptors return')
  const children = await readFile(`/proc/${child.pid as number}/task/${child.pid as number}/children`, 'utf8')
  assert.equal(children, '')
})

for (const write of [true, false]) {
  test(`after the server's end a git that ${write ? 'writes' : 'only reads'} is ${write ? 'heard out' : 'not heard any more'}`, async (t) => {
    const root = await temporaryFolder(t)
    const { child, send, hear } = await openHelper(t)
    const sockets = [send({ id: 1, part: 'stdin' }), send(request(1, `read line; head -c 1000000 /dev/zero && touch ${root}/told`, { input: true, write }))]
    await hear('started', 1)
    child.disconnect()
    for (const socket of sockets) socket.destroy()
    await once(child, 'exit')
    assert.deepEqual(await processesAbout(root), [])
    assert.deepEqual(await readdir(root), write ? ['told'] : [])
  })
}

test('after the server\'s end it ends what does not end by itself, with all of its group', async (t) => {
  const root = await temporaryFolder(t)
  const { child, send, hear } = await openHelper(t)
  for (const [id, script] of [[1, 'while :; do sleep 1; done'], [2, 'trap "" TERM PIPE; (while :; do sleep 1; done) & while :; do sleep 1; done']] as const) {
    send(request(id, `: ${root}; ${script}`, { write: id === 2 }))
    await hear('started', id)
  }
  child.disconnect()
  await once(child, 'exit')
  assert.deepEqual(await processesAbout(root), [])
})

test('it ends as well when its server is killed before it has taken what it was sent', async (t) => {
  const root = await temporaryFolder(t)
  const start = request(1, `: ${root}; cat`, { input: true, write: true })
  // A server that asks for a git that writes, and then takes no message any more.
  const server = spawn(process.execPath, [...LOADER, '--input-type=module', '-e', `
    import { fork } from 'node:child_process'
    import { connect } from 'node:net'
    import { helperCommand } from ${JSON.stringify(programUrl('../../lib/git/helper-command', import.meta.url))}
    const { file, options } = helperCommand()
    const child = fork(file, options)
    child.once('message', ({ socket }) => {
      connect(socket).write(${JSON.stringify(`${JSON.stringify(start)}\n`)})
      connect(socket).write('{"id":1,"part":"stdin"}\\n', () => {
        process.stdout.write(String(child.pid))
        setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 0)
      })
    })`], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => { server.kill('SIGKILL') })
  const helper = Number(String((await once(server.stdout, 'data'))[0]))
  await eventually(async () => (await processesAbout(root)).some((line) => line.includes('cat')), 10_000, 'git runs')
  server.kill('SIGKILL')
  await eventually(async () => !await isRunning(helper), 10_000, 'the helper has ended')
  assert.deepEqual(await processesAbout(root), [])
})
