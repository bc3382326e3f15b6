import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BusyError } from '../../lib/errors.ts'
import { Scene, settle, type Client } from './helpers.ts'

type Step = { kind: 'ask', repository: number, user: number } | { kind: 'release' | 'leave', which: number } | { kind: 'pass', milliseconds: number }

const some = fc.nat({ max: 1_000 })
const steps = fc.array(fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 3 })).map(([repository, user]): Step => ({ kind: 'ask', repository, user })) },
  { weight: 4, arbitrary: some.map((which): Step => ({ kind: 'release', which })) },
  { weight: 2, arbitrary: some.map((which): Step => ({ kind: 'leave', which })) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 80 }).map((milliseconds): Step => ({ kind: 'pass', milliseconds })) }
), { minLength: 20, maxLength: 120 })
const limits = fc.record({
  maxConcurrent: fc.integer({ min: 1, max: 5 }),
  maxPerRepository: fc.integer({ min: 1, max: 5 }),
  maxPerUser: fc.integer({ min: 1, max: 5 }),
  maxQueued: fc.integer({ min: 0, max: 30 }),
  queueTimeout: fc.constant(100)
})

/** Everybody who ever asked, and what must hold between any two steps. */
class Story {
  readonly clients: Client[] = []
  readonly released = new Set<Client>()
  readonly left = new Set<Client>()
  readonly scene: Scene
  readonly #limits: Scene['admission']['limits']

  constructor (scene: Scene) {
    this.scene = scene
    this.#limits = scene.admission.limits
  }

  running (): Client[] {
    return this.clients.filter((client) => client.slot !== null && !this.released.has(client))
  }

  waiting (): Client[] {
    return this.clients.filter(({ slot, error }) => slot === null && error === null)
  }

  check (): void {
    const [running, waiting] = [this.running(), this.waiting()]
    const { maxConcurrent, maxPerRepository, maxPerUser, maxQueued } = this.#limits
    const isOpen = ({ repository, user }: Client, limit = 1): boolean =>
      running.filter((other) => other.repository === repository).length + limit <= maxPerRepository &&
      running.filter((other) => other.user === user).length + limit <= maxPerUser
    assert.ok(running.length <= maxConcurrent)
    assert.ok(running.every((client) => isOpen(client, 0)), 'a share was exceeded')
    assert.ok(waiting.length <= maxQueued)
    // No slot is lost: who may run does.
    assert.ok(running.length === maxConcurrent || !waiting.some((client) => isOpen(client)), 'somebody waits in vain')
    const { counters, tracked } = this.scene.admission
    assert.deepEqual([counters.running, counters.queued], [running.length, waiting.length])
    const busy = [...running, ...waiting]
    assert.equal(tracked, new Set(busy.map(({ repository }) => repository)).size + new Set(busy.map(({ user }) => user)).size)
    this.#checkOrder()
  }

  /** Of one user and repository, nobody is served while somebody who came earlier waits. */
  #checkOrder (): void {
    const waits = new Set<string>()
    for (const { slot, error, repository, user } of this.clients) {
      const lane = `${repository} ${user}`
      if (slot !== null) assert.ok(!waits.has(lane), 'overtaken')
      else if (error === null) waits.add(lane)
    }
  }
}

test('whoever comes, leaves and gives back when: no limit is exceeded, no slot lost or given twice, and nobody forgotten', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const ends = { served: 0, refused: 0, left: 0 }
  await fc.assert(fc.asyncProperty(limits, steps, async (given, script) => {
    const scene = new Scene(given)
    const story = new Story(scene)
    for (const step of script) {
      if (step.kind === 'ask') story.clients.push(scene.ask(`r${step.repository}`, `u${step.user}`))
      if (step.kind === 'release') release(story, step.which)
      if (step.kind === 'leave') leave(story, step.which)
      if (step.kind === 'pass') {
        scene.now += step.milliseconds
        t.mock.timers.tick(step.milliseconds)
      }
      await settle()
      story.check()
    }
    while (story.running().length > 0) {
      release(story, 0)
      await settle()
      story.check()
    }
    assert.deepEqual(story.waiting(), [])
    assert.equal(scene.admission.tracked, 0)
    for (const client of story.clients) {
      if (client.slot !== null) ends.served++
      else if (story.left.has(client)) ends.left++
      else ends.refused++
      if (client.slot === null && !story.left.has(client)) assert.ok(client.error instanceof BusyError)
    }
    const { refused, timedOut } = scene.admission.counters
    assert.equal(refused + timedOut, story.clients.filter(({ error }) => error instanceof BusyError).length)
  }), { numRuns: 400 })
  for (const [end, times] of Object.entries(ends)) assert.ok(times > 200, `${end}: ${times}`)
})

test('while a repository waits and has room, no other one gets more than one slot', async () => {
  let waited = 0
  await fc.assert(fc.asyncProperty(limits, steps, async (given, script) => {
    const scene = new Scene({ ...given, maxPerUser: Infinity, queueTimeout: 100_000 })
    const story = new Story(scene)
    /** What each repository saw others get since it last got something, could get nothing or wanted nothing. */
    const passed = new Map<string, string[]>()
    for (const step of script) {
      const hadRoom = new Set(story.waiting().map(({ repository }) => repository).filter((name) => {
        return story.running().filter(({ repository }) => repository === name).length < given.maxPerRepository
      }))
      const before = scene.served.length
      if (step.kind === 'ask') story.clients.push(scene.ask(`r${step.repository}`, `u${step.user}`))
      if (step.kind === 'release') release(story, step.which)
      if (step.kind === 'leave') leave(story, step.which)
      await settle()
      const got = scene.since(before)
      for (const name of passed.keys()) if (!hadRoom.has(name) || got.includes(name)) passed.delete(name)
      for (const name of hadRoom) {
        if (got.includes(name)) continue
        const others = [...passed.get(name) ?? [], ...got]
        assert.equal(new Set(others).size, others.length, `${name} saw ${others.join()}`)
        passed.set(name, others)
        waited += got.length
      }
    }
  }), { numRuns: 300 })
  assert.ok(waited > 100, `${waited}`)
})

function release (story: Story, which: number): void {
  const running = story.running()
  const client = running[which % running.length]
  if (client === undefined) return
  story.released.add(client)
  client.slot?.release()
  client.slot?.release()
}

function leave (story: Story, which: number): void {
  const waiting = story.waiting()
  const client = waiting[which % waiting.length]
  if (client === undefined) return
  story.left.add(client)
  client.leave()
}
