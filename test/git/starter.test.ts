import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { getPriority } from 'node:os'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { endGroup } from '../../lib/git/process-group.ts'
import { openStarter } from '../../lib/git/spawner.ts'
import { NICENESS } from '../../lib/git/exit.ts'
import type { Starter } from '../../lib/git/starter.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { descriptors, eventually, zombies } from '../fixtures/processes.ts'
import { settledDescriptors } from '../fixtures/settled.ts'

const ENV = { PATH: process.env['PATH'] ?? '' }

async function open (t: TestContext, processes: number, path = '/bin/sh', write = false): Promise<Starter> {
  const starter = await openStarter(path, processes, { error: (details) => assert.fail(JSON.stringify(details)) })
  t.after(async () => { await starter.close() })
  return {
    start: async (args, env, options) => await starter.start(args, env, { write, ...options }),
    capture: async (args, env, limit) => await starter.capture(args, env, limit),
    close: async () => { await starter.close() }
  }
}

/** Writes as fast as the other side takes it; answers what was taken so far. */
function pump (bytes: Buffer, stdin: Writable): () => number {
  let sent = 0
  const write = (): void => {
    while (sent < bytes.length) {
      const chunk = bytes.subarray(sent, sent + 65_536)
      sent += chunk.length
      if (!stdin.write(chunk)) return
    }
    stdin.end()
  }
  stdin.on('drain', write)
  write()
  return () => sent
}

for (const [name, processes, write] of [['direct', 0, false], ['spawner', 2, false], ['spawner, writing', 2, true]] as const) {
  test(`${name}: exit code and stderr are reported`, async (t) => {
    const starter = await open(t, processes, '/bin/sh', write)
    const git = await starter.start(['-c', 'echo out; echo err >&2; exit 7'], ENV)
    git.stdin.end()
    assert.equal(await text(git.stdout), 'out\n')
    assert.deepEqual(await git.exited, { code: 7, signal: null, stderr: 'err\n' })
    assert.equal(git.hasExited, true)
  })

  test(`${name}: the signal that ended it is reported`, async (t) => {
    const starter = await open(t, processes, '/bin/sh', write)
    const git = await starter.start(['-c', 'kill -TERM $$'], ENV)
    assert.deepEqual(await git.exited, { code: null, signal: 'SIGTERM', stderr: '' })
  })

  test(`${name}: of stderr the last 10 kB are kept`, async (t) => {
    const starter = await open(t, processes, '/bin/sh', write)
    const git = await starter.start(['-c', 'head -c 1000000 /dev/zero | tr "\\0" x >&2; echo last >&2; exit 1'], ENV)
    const { stderr } = await git.exited
    assert.equal(stderr.length, 10_240)
    assert.match(stderr, /^x+last\n$/)
  })

  test(`${name}: a program that is missing, or must not be run, is unavailable`, async (t) => {
    const folder = await temporaryFolder(t)
    await writeFile(join(folder, 'git'), '#!/bin/sh\n')
    for (const [path, code] of [[join(folder, 'missing'), 'ENOENT'], [join(folder, 'git'), 'EACCES']] as const) {
      const starter = await open(t, processes, path, write)
      for (const start of [() => starter.start([], ENV), () => starter.capture([], ENV, 10)]) {
        await assert.rejects(start, (error: { code: string, statusCode: number, cause: { code: string } }) =>
          error.code === 'FST_GIT_UNAVAILABLE' && error.statusCode === 503 && error.cause.code === code)
      }
    }
  })

  test(`${name}: an argument that no process can have is unavailable`, async (t) => {
    const starter = await open(t, processes, '/bin/sh', write)
    await assert.rejects(starter.start(['a\0b'], ENV), { code: 'FST_GIT_UNAVAILABLE' })
    await assert.rejects(starter.start(['x'.repeat(3_000_000)], ENV), { code: 'FST_GIT_UNAVAILABLE' })
  })

  test(`${name}: the end of stdin is an end for git, and what git says after it arrives whole`, async (t) => {
    const starter = await open(t, processes, '/bin/sh', write)
    const git = await starter.start(['-c', 'cat; head -c 300000 /dev/zero; printf end'], ENV)
    git.stdin.end('begin')
    const output = await buffer(git.stdout)
    assert.equal(output.length, 300_008)
    assert.equal(output.toString('latin1', 0, 5) + output.toString('latin1', 300_005), 'beginend')
  })

  test(`${name}: after stdin was destroyed git's last words can still be read`, async (t) => {
    const starter = await open(t, processes, '/bin/sh', write)
    const git = await starter.start(['-c', 'cat >/dev/null; printf end'], ENV)
    git.stdin.write('begin')
    git.stdin.destroy()
    assert.equal(await text(git.stdout), 'end')
  })

  test(`${name}: a git that does not read everything is heard out`, async (t) => {
    const starter = await open(t, processes, '/bin/sh', write)
    const input = Buffer.alloc(4_000_000)
    for (let i = 0; i < 50; i++) {
      const git = await starter.start(['-c', 'head -c 100000 >/dev/null; head -c 190000 /dev/zero'], ENV)
      pump(input, git.stdin)
      assert.equal((await buffer(git.stdout)).length, 190_000)
      assert.equal((await git.exited).code, 0)
    }
  })

  test(`${name}: stdout that nobody reads stops git, and git stops the writer`, async (t) => {
    const starter = await open(t, processes, '/bin/sh', write)
    const git = await starter.start(['-c', 'cat'], ENV)
    const input = randomBytes(10_000_000)
    const taken = pump(input, git.stdin)
    let [before, since] = [-1, 0]
    await eventually(async () => {
      if (taken() !== before) since = 0
      before = taken()
      return ++since > 10
    }, 10_000, 'both stand still')
    assert.ok(taken() < 2_000_000, `${taken()} bytes were taken`)
    assert.ok(git.stdout.readableLength <= 131_072, `${git.stdout.readableLength} bytes wait`)
    assert.ok((await buffer(git.stdout)).equals(input))
    assert.equal((await git.exited).code, 0)
  })

  test(`${name}: git leads a process group, runs in / and with a lower priority`, async (t) => {
    const starter = await open(t, processes, '/bin/sh', write)
    const git = await starter.start(['-c', 'read line; cut -d" " -f1,5,19 /proc/$$/stat; pwd'], ENV)
    git.stdin.end('go\n')
    assert.equal(await text(git.stdout), `${git.pid} ${git.pid} ${getPriority() + NICENESS}\n/\n`)
  })

  test(`${name}: its session has a lower priority too, where sessions are weighed`, async (t) => {
    const own = await readFile('/proc/self/autogroup', 'utf8').catch(() => null)
    const starter = await open(t, processes, '/bin/sh', write)
    const git = await starter.start(['-c', 'read line; cat /proc/$$/autogroup 2> /dev/null; exit 0'], ENV)
    git.stdin.end('go\n')
    const expected = own === null ? /^$/ : new RegExp(`^/autogroup-\\d+ nice ${process.getuid?.() === 0 ? NICENESS : '\\d+'}\n$`)
    assert.match(await text(git.stdout), expected)
  })

  test(`${name}: a small question has the server's own priority and no input`, async (t) => {
    const starter = await open(t, processes, '/bin/sh', write)
    const { stdout } = await starter.capture(['-c', 'cat; cut -d" " -f19 /proc/$$/stat'], ENV, 100)
    assert.equal(stdout, `${getPriority()}\n`)
  })

  test(`${name}: the environment is the given one and nothing else`, async (t) => {
    const starter = await open(t, processes, '/usr/bin/env', write)
    const env = { A: '1', B: 'two words', C: 'line\nline', D: 'ä€😀', E: '' }
    const expected = Object.entries(env).map(([key, value]) => `${key}=${value}`)
    const { stdout } = await starter.capture(['-0'], env, 10_000)
    const lines = stdout.split('\0').slice(0, -1)
    // Node adds it to what it starts itself while it measures coverage.
    const given = processes === 0 ? lines.filter((line) => !line.startsWith('NODE_V8_COVERAGE=')) : lines
    assert.deepEqual(given, expected)
  })

  test(`${name}: the answer to a question is bounded, and who says more is ended`, async (t) => {
    const starter = await open(t, processes, '/bin/sh', write)
    assert.deepEqual(await starter.capture(['-c', 'printf 12345; exit 3'], ENV, 5), { code: 3, stdout: '12345' })
    await assert.rejects(starter.capture(['-c', 'head -c 100001 /dev/zero'], ENV, 100_000), { code: 'FST_GIT_FAILED' })
    await assert.rejects(starter.capture(['-c', 'yes'], ENV, 100_000), { code: 'FST_GIT_FAILED' })
    await assert.rejects(starter.capture(['-c', 'kill -9 $$'], ENV, 5), { code: 'FST_GIT_FAILED' })
    assert.deepEqual(await zombies(), [])
  })

  test(`${name}: fifty at once`, async (t) => {
    const starter = await open(t, processes, '/bin/sh', write)
    const answers = await Promise.all(Array.from({ length: 50 }, async (_, i) => {
      const git = await starter.start(['-c', 'cat'], ENV)
      git.stdin.end(`number ${i}`)
      return await text(git.stdout)
    }))
    assert.deepEqual(answers, Array.from({ length: 50 }, (_, i) => `number ${i}`))
  })

  test(`${name}: two hundred starts leave no descriptor behind`, async (t) => {
    const starter = await open(t, processes, '/bin/sh', write)
    await starter.capture(['-c', 'true'], ENV, 10)
    const before = await settledDescriptors()
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 20 }, async (_, i) => {
        if (i % 5 === 0) return await starter.capture(['-c', 'echo x'], ENV, 10)
        const git = await starter.start(['-c', i % 5 === 1 ? 'exit 0' : 'cat'], ENV, { input: i % 5 !== 2 })
        if (i % 5 === 3) git.stdin.destroy()
        else git.stdin.end('x')
        if (i % 5 === 4) git.stdout.destroy()
        else await buffer(git.stdout)
        return await git.exited
      }))
    }
    await eventually(async () => (await descriptors()).length === before.length, 5_000, 'descriptors return')
    assert.deepEqual(await zombies(), [])
  })

  test(`${name}: a group that ignores SIGTERM is ended`, async (t) => {
    const starter = await open(t, processes, '/bin/sh', write)
    const git = await starter.start(['-c', 'trap "" TERM; echo ready; while :; do sleep 1; done'], ENV)
    await once(git.stdout, 'data')
    await endGroup(git.pid)
    assert.equal((await git.exited).signal, 'SIGKILL')
  })
}
