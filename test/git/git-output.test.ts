import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { GitOutput } from '../../lib/git/git-output.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { eventually } from '../fixtures/processes.ts'

const PROMPT = 65_536

/** Opens outputs, each with the socket that stands for its git. */
async function outputs (t: TestContext): Promise<() => Promise<{ output: GitOutput, git: Socket }>> {
  const path = join(await temporaryFolder(t), 'socket')
  const server = createServer()
  server.listen(path)
  await once(server, 'listening')
  const all: GitOutput[] = []
  t.after(() => {
    for (const output of all) output.destroy()
    server.close()
  })
  return async () => {
    const output = new GitOutput(path, 'please\n')
    output.on('error', () => {})
    all.push(output)
    const [git] = await once(server, 'connection') as [Socket]
    git.on('error', () => {})
    assert.equal(String((await once(git, 'data'))[0]), 'please\n')
    return { output, git }
  }
}

async function turns (count = 10): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(setImmediate)
}

async function write (git: Socket, length: number): Promise<void> {
  await new Promise<void>((resolve) => { git.write(Buffer.alloc(length), () => resolve()) })
  await turns()
}

for (const [title, others] of [['while there are cores to spare', 0], ['while every core is needed', availableParallelism()]] as const) {
  test(`what git writes comes whole and in order ${title}, however slowly it is read`, async (t) => {
    const open = await outputs(t)
    for (let i = 0; i < others; i++) await open()
    await fc.assert(fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 90_000 }), { maxLength: 30 }), fc.boolean(), async (lengths, slowly) => {
      const { output, git } = await open()
      const pieces = lengths.map((length, i) => Buffer.alloc(length, i + 1))
      const writing = (async () => {
        for (const piece of pieces) if (!git.write(piece)) await once(git, 'drain')
        git.end()
      })()
      const read: Buffer[] = []
      for await (const chunk of output as AsyncIterable<Buffer>) {
        read.push(chunk)
        if (slowly) await turns(3)
      }
      await writing
      assert.ok(Buffer.concat(read).equals(Buffer.concat(pieces)))
    }), { numRuns: 40 })
  })
}

test('the first bytes go on at once, and what follows in few pieces', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { output, git } = await (await outputs(t))()
  const read: number[] = []
  output.on('data', ({ length }: Buffer) => { read.push(length) })
  for (let i = 0; i < 8; i++) await write(git, PROMPT / 8)
  assert.deepEqual([read.length, read.reduce((a, b) => a + b)], [8, PROMPT])
  for (let i = 0; i < 5; i++) await write(git, 1_000)
  assert.ok(read.length <= 9, 'gathered')
  t.mock.timers.tick(1)
  await turns()
  t.mock.timers.tick(1)
  await turns()
  assert.ok(read.length <= 10)
  assert.equal(read.reduce((a, b) => a + b), PROMPT + 5_000)
})

test('while every core is needed nothing is read between two looks', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const open = await outputs(t)
  for (let i = 0; i < availableParallelism(); i++) await open()
  const { output, git } = await open()
  const read: number[] = []
  output.on('data', ({ length }: Buffer) => { read.push(length) })
  await write(git, PROMPT)
  await write(git, 1_000)
  const before = read.length
  for (let i = 0; i < 5; i++) await write(git, 1_000)
  assert.equal(read.length, before)
  t.mock.timers.tick(1)
  await turns()
  assert.equal(read.length, before, 'there may be more')
  t.mock.timers.tick(1)
  await turns()
  assert.equal(read.length, before + 1)
  assert.equal(read.at(-1), 6_000)
})

test('a long answer is gathered in whole buffers, by a thread that goes with the last output', async (t) => {
  const open = await outputs(t)
  const others: GitOutput[] = []
  for (let i = 0; i < availableParallelism(); i++) others.push((await open()).output)
  const threads = async (): Promise<number> => (await readdir('/proc/self/task')).length
  const before = await threads()
  const { output, git } = await open()
  const read: Buffer[] = []
  output.on('data', (chunk: Buffer) => { read.push(chunk) })
  const pack = randomBytes(16 * 1024 * 1024)
  let during = 0
  output.on('data', async () => { during = Math.max(during, await threads()) })
  git.end(pack)
  await once(output, 'close')
  assert.ok(Buffer.concat(read).equals(pack))
  assert.ok(read.length < 200, `${read.length} pieces`)
  assert.ok(during > before)
  for (const other of others) other.destroy()
  await eventually(async () => await threads() === before, 5_000, 'the thread is gone')
})

test('an output that nobody reads holds git back', async (t) => {
  const { git } = await (await outputs(t))()
  let taken = 0
  for (; taken < 100 && await Promise.race([new Promise((resolve) => git.write(Buffer.alloc(1_048_576), () => resolve(true))), turns(2_000)]) === true;) taken++
  assert.ok(taken <= 1)
})

test('an output that is destroyed lets go of its connection', async (t) => {
  const { output, git } = await (await outputs(t))()
  git.resume()
  await write(git, 10)
  output.destroy()
  await once(git, 'close')
  assert.ok((await buffer(output).catch(() => null)) === null)
})
