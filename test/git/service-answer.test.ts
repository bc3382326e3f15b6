import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import type { GitProcess } from '../../lib/git/git-process.ts'
import { ServiceAnswer } from '../../lib/git/service-answer.ts'

const OPTIONS = { prefix: null, emptyExit: 0, onProgress: () => {} }

function fakeGit (stdout: PassThrough): GitProcess {
  const exited = Promise.resolve({ code: 0, signal: null, stderr: '' })
  return { pid: 0, stdin: new PassThrough(), stdout, exited, hasExited: true }
}

test('behind its first bytes an answer of small pieces goes on in large ones, and none waits for long', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const stdout = new PassThrough({ highWaterMark: 1_048_576 })
  const answer = new ServiceAnswer(fakeGit(stdout), OPTIONS)
  const read: number[] = []
  answer.on('data', ({ length }: Buffer) => { read.push(length) })
  const write = async (length: number): Promise<void> => {
    stdout.write(Buffer.alloc(length))
    await new Promise(setImmediate)
  }
  await write(65_536)
  for (let i = 0; i < 4; i++) await write(1_000)
  assert.deepEqual(read, [65_536], 'gathered')
  t.mock.timers.tick(3)
  await new Promise(setImmediate)
  assert.deepEqual(read, [65_536, 4_000])
  for (let i = 0; i < 9; i++) await write(8_192)
  assert.deepEqual(read, [65_536, 4_000, 65_536], 'enough for one piece')
})

test('what was gathered is all there, in its order', async () => {
  const stdout = new PassThrough()
  const answer = new ServiceAnswer(fakeGit(stdout), OPTIONS)
  const pieces = Array.from({ length: 400 }, (_, i) => Buffer.alloc(1 + (i * 7919) % 5_000, i))
  const expected = Buffer.concat(pieces)
  const all = buffer(answer)
  for (const piece of pieces) if (!stdout.write(piece)) await new Promise((resolve) => stdout.once('drain', resolve))
  stdout.end()
  assert.ok((await all).equals(expected))
})
