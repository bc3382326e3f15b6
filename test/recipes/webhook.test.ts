import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'node:test'
import type { GitHttpHooks, PostReceive } from '../../lib/index.ts'
import { servePushes } from '../fixtures/push-scene.ts'

let url = ''

// README: A webhook after the push
const DELAYS = [100, 1_000, 10_000, 60_000]

async function deliver (event: object, log: { error (details: object, message: string): void }): Promise<void> {
  for (const pause of [...DELAYS, null]) {
    try {
      const { ok, status } = await fetch(url, {
        method: 'POST', body: JSON.stringify(event), headers: { 'content-type': 'application/json' }, signal: AbortSignal.timeout(10_000)
      })
      if (ok) return
      throw new Error(`webhook answered ${status}`)
    } catch (err) {
      if (pause === null) log.error({ err, event }, 'webhook not delivered')
      else await delay(pause, undefined, { ref: false })
    }
  }
}

const hooks: GitHttpHooks = {
  // Not awaited: the push is over, nobody has to wait.
  postReceive: ({ operation: { repository, user }, commands, request }: PostReceive) => {
    deliver({ id: request.id, repository, user, commands }, request.log)
  }
}

test('recipe: a webhook with retries after the push', async (t) => {
  const bodies: unknown[] = []
  const receiver = createServer(async (request, response) => {
    bodies.push(await json(request))
    response.writeHead(bodies.length < 3 ? 500 : 204).end()
    if (bodies.length === 3) receiver.emit('delivered')
  })
  const delivered = once(receiver, 'delivered')
  receiver.listen(0, '127.0.0.1')
  await once(receiver, 'listening')
  t.after(() => receiver.close())
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`
  const scene = await servePushes(t, { hooks })
  assert.equal((await scene.push([scene.appUrl, 'main'])).code, 0)
  await Promise.race([delivered, delay(10_000)])
  assert.equal(bodies.length, 3)
  const [event] = bodies as [{ repository: string, commands: Array<{ ref: string, new: string }> }]
  assert.deepEqual([event.repository, event.commands[0]?.ref, event.commands[0]?.new], ['app.git', 'refs/heads/main', scene.id])
})
