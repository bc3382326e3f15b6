import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listen } from '../../lib/command/listen.ts'

/** A Fastify on a machine that answers `failures` by host. */
function machine (failures: Record<string, string>): { asked: string[], app: Parameters<typeof listen>[0] } {
  const asked: string[] = []
  const app = {
    server: { address: () => ({ port: 8080 }) },
    listen: async ({ host }: { host: string }) => {
      asked.push(host)
      if (failures[host] !== undefined) throw Object.assign(new Error('listen'), { code: failures[host] })
    }
  }
  return { asked, app: app as never }
}

test('all interfaces: IPv6 and IPv4 at once, IPv4 alone where there is no IPv6', async () => {
  const modern = machine({})
  assert.equal(await listen(modern.app, 8080, undefined), 8080)
  assert.deepEqual(modern.asked, ['::'])
  for (const code of ['EAFNOSUPPORT', 'EADDRNOTAVAIL']) {
    const old = machine({ '::': code })
    assert.equal(await listen(old.app, 8080, undefined), 8080)
    assert.deepEqual(old.asked, ['::', '0.0.0.0'])
  }
})

test('a port in use is not tried again on IPv4', async () => {
  const { asked, app } = machine({ '::': 'EADDRINUSE' })
  await assert.rejects(listen(app, 8080, undefined), { message: 'port 8080 is in use; choose another one with --port', exitCode: 1 })
  assert.deepEqual(asked, ['::'])
})

test('a port that needs more rights', async () => {
  await assert.rejects(listen(machine({ '::': 'EACCES' }).app, 80, undefined), /port 80 may not be used by this user/)
})
