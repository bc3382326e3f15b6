import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { endGit } from '../../lib/git/end-process.ts'
import { loaderOptions } from '../../lib/git/helper-command.ts'
import { openStarter, Spawner } from '../../lib/git/spawner.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { isRunning } from '../fixtures/helpers.ts'
import { descriptors, eventually, processesAbout } from '../fixtures/processes.ts'
import { LOADER, programUrl } from '../fixtures/program.ts'
import { settledDescriptors } from '../fixtures/settled.ts'

const ENV = { PATH: process.env['PATH'] ?? '' }
const run = promisify(execFile)

async function open (t: TestContext, processes: number): Promise<{ spawner: Spawner, log: object[] }> {
  const log: object[] = []
  const spawner = new Spawner('/bin/sh', { error: (details) => log.push(details) })
  t.after(async () => { await spawner.close() })
  await spawner.open(processes)
  return { spawner, log }
}

async function replaced ({ pids }: { pids: () => number[] }, dead: number): Promise<void> {
  await eventually(async () => pids().length > 0 && !pids().includes(dead), 10_000, 'a new helper')
}

test('a helper that is killed fails the starts under way; those that wait get its successor', async (t) => {
  const { spawner, log } = await open(t, 1)
  const [pid = 0] = spawner.pids
  process.kill(pid, 'SIGSTOP')
  const starts = Array.from({ length: 20 }, () => spawner.capture(['-c', 'echo served'], ENV, 100))
  const settled = Promise.allSettled(starts)
  process.kill(pid, 'SIGKILL')
  const results = await settled
  const failed = results.flatMap((result) => result.status === 'rejected' ? [result.reason.code] : [])
  const served = results.flatMap((result) => result.status === 'fulfilled' ? [result.value.stdout] : [])
  assert.deepEqual(failed, Array(16).fill('FST_GIT_UNAVAILABLE'))
  assert.deepEqual(served, Array(4).fill('served\n'))
  assert.match(String((log[0] as { err: Error }).err), /SIGKILL/)
})

test('a helper that is killed leaves its work to the others', async (t) => {
  const { spawner } = await open(t, 2)
  const [pid = 0] = spawner.pids
  process.kill(pid, 'SIGKILL')
  await eventually(async () => !spawner.pids.includes(pid), 5_000, 'its end is known')
  assert.equal((await spawner.capture(['-c', 'echo served'], ENV, 100)).stdout, 'served\n')
})

test('what a killed helper started is unknown from then on, and can be ended', async (t) => {
  const root = await temporaryFolder(t)
  const { spawner } = await open(t, 1)
  const [pid = 0] = spawner.pids
  // What the first start of all opens for good is no leak.
  await spawner.capture(['-c', 'true'], ENV, 10)
  const before = await settledDescriptors()
  const git = await spawner.start(['-c', `: ${root}; trap "" TERM; echo ready; while :; do sleep 1; done`], ENV)
  await once(git.stdout, 'data')
  const question = spawner.capture(['-c', `: ${root}; sleep 1000`], ENV, 10)
  const refused = assert.rejects(question, { code: 'FST_GIT_UNAVAILABLE' })
  await eventually(async () => (await processesAbout(root)).length > 1, 5_000, 'both run')
  // The helper reports in order: behind this answer, the server knows of both.
  await spawner.capture(['-c', 'true'], ENV, 10)
  process.kill(pid, 'SIGKILL')
  const { error, code, signal } = await git.exited
  assert.equal((error as { code?: string }).code, 'FST_GIT_UNAVAILABLE')
  assert.deepEqual([code, signal, git.hasExited], [null, null, false])
  await endGit(git, { write: false })
  await refused
  await eventually(async () => (await processesAbout(root)).length === 0, 2_000, 'both have ended')
  await replaced({ pids: () => spawner.pids }, pid)
  await eventually(async () => (await descriptors()).length === before.length, 5_000, 'descriptors return')
})

test('a helper that ends again and again is replaced each time', async (t) => {
  const { spawner, log } = await open(t, 1)
  for (let i = 0; i < 3; i++) {
    const [pid = 0] = spawner.pids
    process.kill(pid, 'SIGKILL')
    await replaced({ pids: () => spawner.pids }, pid)
  }
  assert.equal((await spawner.capture(['-c', 'echo served'], ENV, 100)).stdout, 'served\n')
  assert.equal(log.length, 3)
})

test('signals that are meant for the server do not end a helper', async (t) => {
  const { spawner, log } = await open(t, 1)
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.kill(spawner.pids[0] ?? 0, signal)
  assert.equal((await spawner.capture(['-c', 'echo served'], ENV, 100)).stdout, 'served\n')
  assert.deepEqual(log, [])
})

test('a helper without descriptors refuses, and serves again when it has some', async (t) => {
  const { spawner } = await open(t, 1)
  const pid = String(spawner.pids[0])
  const used = (await readdir(`/proc/${pid}/fd`)).length
  await run('prlimit', ['--pid', pid, `--nofile=${used}:`])
  await assert.rejects(spawner.capture(['-c', 'echo served'], ENV, 100), { code: 'FST_GIT_UNAVAILABLE' })
  await run('prlimit', ['--pid', pid, '--nofile=1024:'])
  // libuv may still be at closing what it could not accept (uv__emfile_trick), and closes another one with it.
  await eventually(async () => (await spawner.capture(['-c', 'echo served'], ENV, 100).catch(() => null))?.stdout === 'served\n', 5_000, 'it serves')
  assert.deepEqual(spawner.pids, [Number(pid)])
})

test('a helper with too few descriptors for a git that writes refuses soon, and serves again', async (t) => {
  const { spawner } = await open(t, 1)
  const pid = String(spawner.pids[0])
  const used = async (): Promise<number> => (await readdir(`/proc/${pid}/fd`)).length
  assert.equal(await written(spawner), 'served')
  let before = -1
  await eventually(async () => before === (before = await used()), 5_000, 'descriptors settle')
  let refused = 0
  // A start needs the more the further it gets.
  for (let left = 0; left < 12; left++) {
    await run('prlimit', ['--pid', pid, `--nofile=${before + left}:`])
    assert.match(await written(spawner).catch((error) => { refused++; return error.code }), /^(served|FST_GIT_UNAVAILABLE)$/)
    await run('prlimit', ['--pid', pid, '--nofile=1024:'])
    assert.equal(await written(spawner), 'served')
    await eventually(async () => await used() <= before, 5_000, `descriptors return (${left})`)
  }
  assert.ok(refused > 2 && refused < 12, `${refused}`)
  assert.deepEqual(spawner.pids, [Number(pid)])
})

/** What a git that writes repeats. */
async function written (spawner: Spawner): Promise<string> {
  const git = await spawner.start(['-c', 'cat'], ENV, { write: true })
  git.stdin.end('served')
  return await text(git.stdout)
}

test('close ends the helpers and what they run, and refuses from then on', async (t) => {
  const root = await temporaryFolder(t)
  const { spawner } = await open(t, 2)
  const { pids } = spawner
  const git = await spawner.start(['-c', `: ${root}; sleep 1000`], ENV)
  await spawner.close()
  assert.notEqual((await git.exited).error, undefined)
  assert.deepEqual(await Promise.all(pids.map(isRunning)), [false, false])
  assert.deepEqual(await processesAbout(root), [])
  await assert.rejects(spawner.start([], ENV), { code: 'FST_GIT_UNAVAILABLE' })
})

test('helpers that cannot be started are a wrong option, and the message says what helps', async (t) => {
  const { execPath } = process
  t.after(() => { process.execPath = execPath })
  process.execPath = '/dev/null/node'
  await assert.rejects(openStarter('git', 1, console), { code: 'FST_GIT_INVALID_OPTION', message: /'spawner\.processes' must be 0 here.*(ENOTDIR|EACCES)/ })
  assert.equal((await (await openStarter('git', 0, console)).capture(['version'], ENV, 1000)).code, 0)
})

test('a temporary folder with a long name is no obstacle', async (t) => {
  const { TMPDIR } = process.env
  t.after(() => { TMPDIR === undefined ? delete process.env['TMPDIR'] : process.env['TMPDIR'] = TMPDIR })
  process.env['TMPDIR'] = `/tmp/${'x'.repeat(90)}`
  const { spawner } = await open(t, 1)
  assert.equal((await spawner.capture(['-c', 'echo served'], ENV, 100)).stdout, 'served\n')
})

/** A process of its own with a spawner of one helper. */
function script (body: string, limits = ':'): string[] {
  const code = `import { openStarter } from ${JSON.stringify(programUrl('../../lib/git/spawner', import.meta.url))}
    const starter = await openStarter('/bin/sh', 1, console)
    const env = { PATH: process.env.PATH }
    ${body}`
  return ['-c', `${limits}; exec "$0" "$@"`, process.execPath, ...LOADER, '--input-type=module', '--eval', code]
}

test('an idle spawner keeps no process alive, and one that ends without closing leaves nothing', async (t) => {
  const folder = await temporaryFolder(t)
  const body = "console.log((await starter.capture(['-c', 'echo $PPID'], env, 100)).stdout)"
  const { stdout } = await run('/bin/sh', script(body), { env: { ...process.env, TMPDIR: folder } })
  const pid = Number(stdout)
  assert.ok(pid > 1, stdout)
  await eventually(async () => !await isRunning(pid), 5_000, 'the helper ends')
  assert.deepEqual((await readdir(folder)).filter((name) => name.includes('spawner')), [])
})

test('process.exit() ends what runs', async (t) => {
  const root = await temporaryFolder(t)
  const body = `await starter.start(['-c', ${JSON.stringify(`: ${root}; sleep 1000`)}], env); process.exit()`
  await run('/bin/sh', script(body))
  await eventually(async () => (await processesAbout(root)).length === 0, 5_000, 'git ends')
})

test('a server without descriptors refuses, and serves again when it has some', async () => {
  const body = `
    const { openSync, closeSync } = await import('node:fs')
    await starter.capture(['-c', 'true'], env, 10)
    const open = []
    const codes = []
    for (const [left, write] of [[0, false], [1, false], [0, true], [1, true], [2, true]]) {
      // Anew each time: what the start before has closed is free again.
      try { for (;;) open.push(openSync('/dev/null')) } catch {}
      for (let i = 0; i < left; i++) closeSync(open.pop())
      await starter.start(['-c', 'cat'], env, { write }).catch((error) => codes.push(error.code + ' ' + (error.cause.code ?? error.cause.message)))
    }
    for (const fd of open) closeSync(fd)
    const git = await starter.start(['-c', 'cat'], env)
    git.stdin.end(codes.join())
    for await (const chunk of git.stdout) process.stdout.write(chunk)
    await git.exited
    await starter.close()`
  const child = spawn('/bin/sh', script(body, 'ulimit -n 256'), { stdio: ['ignore', 'pipe', 'inherit'] })
  const [output] = await Promise.all([text(child.stdout), once(child, 'close')])
  assert.equal(output, [...Array(4).fill('FST_GIT_UNAVAILABLE EMFILE'), 'FST_GIT_UNAVAILABLE its stdout did not arrive'].join())
  assert.equal(child.exitCode, 0)
})

test('of node\'s options a helper in TypeScript gets those that load, and no others', () => {
  assert.deepEqual(loaderOptions([
    '--inspect=0', '--test', '--import', 'tsx', '--test-name-pattern', 'x', '--experimental-test-coverage',
    '--require=./a.cjs', '--max-old-space-size=8000', '--experimental-strip-types', '--inspect-brk', '-r', 'b'
  ]), ['--import', 'tsx', '--require=./a.cjs', '--experimental-strip-types', '-r', 'b'])
  assert.deepEqual(loaderOptions(['']), [])
})
