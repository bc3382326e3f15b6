/** The head of a push in every shape, split everywhere: however it arrives, the decision is about the same commands. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { sendRaw } from '../fixtures/raw.ts'
import { assertAlive, makeStage, packet, refsOf, serve, ZERO } from './helpers.ts'

const ID = 'ab'.repeat(20)
const FLUSH = Buffer.from('0000')
const TARGET = '/git/app.git/git-receive-pack'

function certificate (capabilities: string, options: string[] = []): Buffer[] {
  const lines = [
    'certificate version 0.1', 'pusher Ann Author <ann@example.org> 1700000000 +0000', 'pushee https://example.org/app.git', 'nonce 1700000000-abcdef',
    ...options.map((option) => `push-option ${option}`), '', `${ZERO} ${ID} refs/heads/a`, `${ZERO} ${ID} refs/heads/b`,
    '-----BEGIN PGP SIGNATURE-----', '', 'iQEzBAABCAAdFiEE', '=abcd', '-----END PGP SIGNATURE-----'
  ]
  return [packet(`push-cert\0 ${capabilities}\n`), ...lines.map((line) => packet(`${line}\n`)), packet('push-cert-end\n'), FLUSH]
}

const commands = (capabilities: string): Buffer[] => [packet(`${ZERO} ${ID} refs/heads/a\0 ${capabilities}`), packet(`${ZERO} ${ID} refs/heads/b`), FLUSH]
const options = (...values: string[]): Buffer[] => [...values.map((value) => packet(value)), FLUSH]

const GOOD: Array<{ what: string, head: Buffer[], options: string[] }> = [
  { what: 'commands', head: commands('report-status'), options: [] },
  { what: 'commands with newlines', head: [packet(`${ZERO} ${ID} refs/heads/a\0 report-status\n`), packet(`${ZERO} ${ID} refs/heads/b\n`), FLUSH], options: [] },
  { what: 'commands behind shallow lines', head: [packet(`shallow ${ID}`), packet(`shallow ${'cd'.repeat(20)}\n`), ...commands('report-status')], options: [] },
  { what: 'commands with push options', head: [...commands('report-status push-options'), ...options('ci.skip', 'a b=c')], options: ['ci.skip', 'a b=c'] },
  { what: 'commands with no push option', head: [...commands('report-status push-options'), FLUSH], options: [] },
  { what: 'a certificate', head: certificate('report-status'), options: [] },
  { what: 'a certificate with push options', head: [...certificate('report-status push-options', ['ci.skip']), ...options('ci.skip')], options: ['ci.skip'] }
]

/** Heads that are refused, whatever is in which part. */
const BAD: Array<{ what: string, head: Buffer[] }> = [
  { what: 'push options with a delimiter', head: [...commands('report-status push-options'), packet('a'), Buffer.from('0001'), FLUSH] },
  { what: 'a NUL in a push option', head: [...commands('report-status push-options'), ...options('a\0b')] },
  { what: 'a newline in a push option', head: [...commands('report-status push-options'), ...options('a\nb=c')] },
  { what: 'other push options than those of the certificate', head: [...certificate('report-status push-options', ['ci.skip']), ...options('ci.run')] },
  { what: 'a certificate with a command behind it', head: [...certificate('report-status').slice(0, -1), packet(`${ZERO} ${ID} refs/heads/c`), FLUSH] },
  { what: 'a certificate without its end', head: [...certificate('report-status').slice(0, -2), FLUSH] },
  { what: 'commands with a certificate behind them', head: [...commands('report-status').slice(0, -1), ...certificate('report-status')] }
]

function chunked (parts: Buffer[], headers: string[] = []): Buffer {
  return Buffer.concat([
    Buffer.from([`POST ${TARGET} HTTP/1.1`, 'Host: localhost', 'Connection: close', 'Content-Type: application/x-git-receive-pack-request', 'Transfer-Encoding: chunked', ...headers, '', ''].join('\r\n')),
    ...parts.filter(({ length }) => length > 0).flatMap((part) => [Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]),
    Buffer.from('0\r\n\r\n')
  ])
}

/** Both sides of every byte; then all bytes alone; then compressed, all bytes alone. */
function * deliveries (body: Buffer): Generator<{ how: string, bytes: Buffer }> {
  for (let at = 1; at < body.length; at++) yield { how: `split at ${at}`, bytes: chunked([body.subarray(0, at), body.subarray(at)]) }
  yield { how: 'byte by byte', bytes: chunked([...body].map((byte) => Buffer.of(byte))) }
  yield { how: 'compressed, byte by byte', bytes: chunked([...gzipSync(body)].map((byte) => Buffer.of(byte)), ['Content-Encoding: gzip']) }
}

for (const { what, head, options: expected } of GOOD) {
  test(`${what}, split at every byte: onPush decides on the same push`, async (t) => {
    const stage = await makeStage(t)
    const asked: string[] = []
    const server = await serve(t, stage, {
      publicWrite: true,
      git: {},
      hooks: { onPush: (push) => { asked.push(JSON.stringify([push.commands.map(({ old, new: to, ref, kind }) => [old, to, ref, kind]), push.options])); push.rejectAll('no') } }
    })
    let deliveriesMade = 0
    for (const { how, bytes } of deliveries(Buffer.concat(head))) {
      assert.match((await sendRaw(server.port, bytes)).text, /^HTTP\/1\.1 200 [^]*ng refs\/heads\/a no[^]*ng refs\/heads\/b no/, how)
      deliveriesMade++
    }
    assert.equal(asked.length, deliveriesMade)
    assert.deepEqual([...new Set(asked)].map((push) => JSON.parse(push)), [[['a', 'b'].map((name) => [ZERO, ID, `refs/heads/${name}`, 'create']), expected]])
    assert.deepEqual(await refsOf(join(stage.root, 'app.git')), ['refs/heads/main'])
    assert.doesNotMatch(JSON.stringify(server.log), /PGP|iQEzBAAB/, 'no certificate is in the log')
  })
}

for (const { what, head } of BAD) {
  test(`${what}, split at every byte: 400, nobody is asked and no git runs`, async (t) => {
    const stage = await makeStage(t)
    const asked: string[] = []
    const server = await serve(t, stage, { publicWrite: true, hooks: { onPush: (push) => { asked.push(push.commands.map(({ ref }) => ref).join()) } } })
    for (const { how, bytes } of deliveries(Buffer.concat(head))) assert.equal((await sendRaw(server.port, bytes)).status, 400, how)
    assert.deepEqual(asked, [])
    assert.deepEqual((await stage.started()).filter((line) => line.includes('receive-pack')), [])
    await assertAlive(server)
  })
}
