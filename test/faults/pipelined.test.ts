/**
 * Requests that a client sends without waiting for answers. Of their responses Node tells only the one that has the connection of its
 * end (found by fuzzing); who waits for the others would wait for ever.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { FastifyRequest } from 'fastify'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { descriptors, eventually, processesAbout } from '../fixtures/processes.ts'
import { commitRandom, makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'

const COUNT = 20
const GET = (path: string): string => `GET /app.git/${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
/** Stands for a file that is too large to be read at once. */
const PACK = 'a pack'
const GARBAGE = 'garbage\r\n\r\n'

/** Sends everything, and leaves once all requests stand where `hold` keeps them; only then they go on. */
async function leave (t: TestContext, path: string, { end = '', answered = 0, at = 'authorize' }: { end?: string, answered?: number, at?: 'authorize' | 'onRequest' }): Promise<void> {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git')
  if (path === PACK) path = await makePack(served)
  let begun = 0
  let go = (): void => {}
  const gate = new Promise<void>((resolve) => { go = resolve })
  // A server that closes waits for those that are held.
  t.after(() => go())
  // Not the first to get there: what comes behind a request that is held cannot be answered either.
  const inTurn: FastifyRequest[] = []
  const hold = async (request: FastifyRequest): Promise<void> => {
    begun++
    if (inTurn.indexOf(request) >= answered) await gate
  }
  const finished: string[] = []
  const { port, app, log } = await startServer(t, {
    root,
    limits: { closeGrace: 100 },
    authorize: async (_operation, request) => { if (at === 'authorize') await hold(request); return true },
    hooks: { onFinish: ({ outcome }) => { finished.push(outcome) } }
  }, {
    before: (app) => {
      app.addHook('onRequest', async (request: FastifyRequest) => {
        inTurn.push(request)
        if (at === 'onRequest') await hold(request)
      })
    }
  })
  const warnings: Error[] = []
  const warn = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', warn)
  t.after(() => process.off('warning', warn))
  const accepted = once(app.server, 'connection') as Promise<[Socket]>
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(GET(path).repeat(COUNT) + end)
  const [theirs] = await accepted
  await eventually(async () => begun === COUNT, 5_000, 'all requests are there')
  if (at === 'authorize') await eventually(async () => app.gitHttp.active === COUNT - answered, 5_000, 'those that wait are in flight')
  socket.resetAndDestroy()
  if (!theirs.closed) await new Promise((resolve) => theirs.once('close', resolve))
  go()
  await eventually(async () => finished.length === COUNT && app.gitHttp.active === 0, 5_000, `the operations end, not only ${finished.length}`)
  // Whether a client that has gone read an answer before, nobody knows.
  assert.ok(finished.filter((outcome) => outcome === 'client-gone').length >= COUNT - answered, finished.join())
  await eventually(async () => (await processesAbout(root)).length === 0, 2_000, 'no git is left')
  await eventually(async () => (await descriptors()).every((target) => !target.startsWith(root)), 2_000, 'files are closed')
  assert.deepEqual(log.filter(({ level }) => Number(level) >= 50), [])
  assert.deepEqual(warnings.map(({ message }) => message), [])
}

async function makePack (served: string): Promise<string> {
  const work = await makeWorkingCopy(join(served, '..'), 'work')
  await commitRandom(work, 'big.bin', 1_000_000)
  await git(['push', '--quiet', '--force', served, 'main'], { cwd: work })
  await git(['repack', '-adq'], { cwd: served })
  const name = (await readdir(join(served, 'objects/pack'))).find((name) => name.endsWith('.pack'))
  return `objects/pack/${name}`
}

const PATHS = [['files', 'objects/info/packs'], ['a large file', PACK], ['missing files', `objects/ab/${'cd'.repeat(19)}`], ['gits', 'HEAD'], ['listings', 'info/refs'], ['advertisements', 'info/refs?service=git-upload-pack']] as const

for (const [what, path] of PATHS) {
  for (const end of ['', GARBAGE]) {
    for (const answered of [0, 1]) {
      test(`twenty requests for ${what} at once${end === '' ? '' : ', with garbage behind them'}: all are over when the client has gone ${answered === 0 ? 'before' : 'behind'} the first answer`, async (t) => {
        await leave(t, path, { end, answered })
      })
    }
  }
  test(`twenty requests for ${what} at once: all are over when the client has gone before anybody got to them`, async (t) => {
    await leave(t, path, { at: 'onRequest' })
  })
}
