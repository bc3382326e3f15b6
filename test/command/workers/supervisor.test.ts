/** How workers are started, replaced and ended, whatever they serve. */
import assert from 'node:assert/strict'
import cluster from 'node:cluster'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import type { FastifyBaseLogger } from 'fastify'
import { Supervisor, type Bounds } from '../../../lib/command/workers/supervisor.ts'
import { isAlive } from '../../fixtures/helpers.ts'
import { eventually } from '../../fixtures/processes.ts'
import { LOADER, programPath } from '../../fixtures/program.ts'

const WORKER = programPath('fake-worker', import.meta.url)
const AGES = 600_000

type Line = Record<string, unknown>

interface Scene {
  supervisor: Supervisor
  lines: Line[]
  /** Those that say so. */
  told (message: string): Line[]
}

function be (how: 'good' | 'deaf' | 'mute' | 'crash'): void {
  cluster.setupPrimary({ exec: WORKER, args: [how], execArgv: LOADER })
}

function supervise (t: TestContext, count: number, bounds: Partial<Bounds> = {}): Scene {
  const lines: Line[] = []
  const line = (fields: object, msg: string): void => { lines.push({ ...fields, msg }) }
  const log = { info: line, warn: line, error: line } as unknown as FastifyBaseLogger
  const supervisor = new Supervisor(count, log, { starting: AGES, leaving: AGES, stopping: AGES, ...bounds })
  t.after(async () => {
    const stopped = supervisor.stop('SIGTERM')
    supervisor.kill()
    await stopped
  })
  return { supervisor, lines, told: (message) => lines.filter(({ msg }) => msg === message) }
}

test('a worker that ends again and again is started after pauses that double', async (t) => {
  be('crash')
  const { supervisor, told } = supervise(t, 1)
  const born: number[] = []
  const note = (): void => { born.push(performance.now()) }
  cluster.on('fork', note)
  t.after(() => cluster.off('fork', note))
  await supervisor.open()
  const ended = (): Line[] => told('a worker ended; starting another')
  await eventually(async () => ended().length >= 5, 60_000, 'it ended five times')
  const pauses = ended().slice(0, 5).map(({ pause }) => pause as number)
  assert.deepEqual(pauses, [100, 200, 400, 800, 1600])
  assert.equal(ended()[0]?.['code'], 7)
  // No timer is early, but for the clock's grain.
  for (const [i, pause] of pauses.slice(0, 4).entries()) assert.ok((born[i + 1] as number) - (born[i] as number) >= pause - 2, `${born}`)
})

test('a worker that hangs when it is to leave is killed after its bound, and its place was taken before', async (t) => {
  be('deaf')
  const { supervisor, lines, told } = supervise(t, 2, { leaving: 50 })
  await supervisor.open()
  const before = supervisor.pids
  await supervisor.reload()
  assert.equal(supervisor.pids.length, 2)
  assert.ok(supervisor.pids.every((pid) => !before.includes(pid)))
  await eventually(async () => told('a worker hangs; it is killed').length === 2, 20_000, 'both are killed')
  assert.deepEqual(told('a worker hangs; it is killed').map(({ pid }) => pid).sort(), [...before].sort())
  await eventually(async () => before.every((pid) => !isAlive(pid)), 20_000, 'they are gone')
  assert.equal(lines.filter(({ msg }) => msg === 'a worker ended; starting another').length, 0, 'nobody takes their places')
})

test('workers that hang when all are to end are killed after their bound', async (t) => {
  be('deaf')
  const { supervisor, told } = supervise(t, 2, { stopping: 50 })
  await supervisor.open()
  await supervisor.stop('SIGTERM')
  assert.equal(told('a worker hangs; it is killed').length, 2)
})

test('workers that go when they are told to are not killed', async (t) => {
  be('good')
  const { supervisor, told } = supervise(t, 2)
  await supervisor.open()
  const before = supervisor.pids
  await supervisor.reload()
  await eventually(async () => before.every((pid) => !isAlive(pid)), 20_000, 'they go')
  await supervisor.stop('SIGTERM')
  assert.deepEqual([told('a worker hangs; it is killed'), told('a worker ended; starting another')], [[], []])
})

test('new workers that hang while they start are killed, and the old ones go on', async (t) => {
  be('good')
  const { supervisor, told } = supervise(t, 2, { starting: 5_000 })
  await supervisor.open()
  const before = supervisor.pids
  be('mute')
  await supervisor.reload()
  assert.deepEqual([told('a worker hangs; it is killed').length, told('new workers do not start; the old ones go on').length], [2, 1])
  assert.deepEqual(supervisor.pids, before)
})

test('a second reload while one runs is done after it, and a third with it', async (t) => {
  be('good')
  const { supervisor, told } = supervise(t, 1)
  await supervisor.open()
  const forks = once(cluster, 'fork')
  const first = supervisor.reload()
  await forks
  await Promise.all([first, supervisor.reload(), supervisor.reload()])
  assert.equal(told('starting new workers').length, 2)
  assert.equal(supervisor.pids.length, 1)
})
