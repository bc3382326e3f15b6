/** Bodies and framing that no client of git sends. Each row is what stands on the wire and what is answered. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { git } from '../fixtures/git.ts'
import { sendRaw } from '../fixtures/raw.ts'
import { makeWorkingCopy } from '../fixtures/repository.ts'
import { gitShim } from '../fixtures/shims.ts'
import { assertAlive, assertDiscreet, makeStage, packet, post, pushBody, refsOf, send, serve, ZERO } from './helpers.ts'

const FETCH = '/git/app.git/git-upload-pack'
const PUSH = '/git/app.git/git-receive-pack'
const ID = 'ab'.repeat(20)
const TYPE = 'Content-Type: application/x-git-upload-pack-request'

/** Header lines besides Host and Content-Type, and the body. */
const FRAMING: Array<{ headers: string[], body: string, status: number, why: string }> = [
  { headers: ['Content-Length: 4', 'Transfer-Encoding: chunked'], body: '0\r\n\r\n', status: 400, why: 'two ways to tell the length: a proxy in front may take the other one' },
  { headers: ['Transfer-Encoding: chunked', 'Content-Length: 4'], body: '4\r\n0000\r\n0\r\n\r\n', status: 400, why: 'the same the other way round' },
  { headers: ['Content-Length: 4', 'Content-Length: 4'], body: '0000', status: 400, why: 'the length twice' },
  { headers: ['Content-Length: 4', 'Content-Length: 400'], body: '0000', status: 400, why: 'two lengths' },
  { headers: ['Content-Length: 4, 4'], body: '0000', status: 400, why: 'a list of lengths' },
  { headers: ['Content-Length: +4'], body: '0000', status: 400, why: 'a sign' },
  { headers: ['Content-Length: -1'], body: '0000', status: 400, why: 'less than nothing' },
  { headers: ['Content-Length: 0x4'], body: '0000', status: 400, why: 'hexadecimal' },
  { headers: ['Content-Length: 4 4'], body: '0000', status: 400, why: 'a space within' },
  { headers: ['Content-Length:'], body: '0000', status: 400, why: 'no length' },
  { headers: [`Content-Length: ${'9'.repeat(30)}`], body: '0000', status: 400, why: 'longer than any number' },
  { headers: ['Transfer-Encoding: chunked, identity'], body: '4\r\n0000\r\n0\r\n\r\n', status: 400, why: 'chunked is not the last coding' },
  { headers: ['Transfer-Encoding: xchunked'], body: '4\r\n0000\r\n0\r\n\r\n', status: 400, why: 'an unknown coding' },
  { headers: ['Transfer-Encoding : chunked'], body: '4\r\n0000\r\n0\r\n\r\n', status: 400, why: 'a space before the colon' },
  { headers: ['Transfer-Encoding: chunked'], body: 'zz\r\n0000\r\n0\r\n\r\n', status: 400, why: 'a chunk of no length' },
  { headers: ['Transfer-Encoding: chunked'], body: '-4\r\n0000\r\n0\r\n\r\n', status: 400, why: 'a chunk of less than nothing' },
  { headers: ['Transfer-Encoding: chunked'], body: `${'f'.repeat(17)}\r\n0000\r\n0\r\n\r\n`, status: 400, why: 'a chunk longer than any number' },
  { headers: ['Transfer-Encoding: chunked'], body: '4\r\n0032XX0\r\n\r\n', status: 400, why: 'no end of line behind a chunk' },
  { headers: ['Transfer-Encoding: chunked'], body: `4;${'x'.repeat(20_000)}\r\n0000\r\n0\r\n\r\n`, status: 400, why: 'a chunk extension of 20 kB' },
  { headers: ['Content-Length: 4', 'X: a\r b'], body: '0000', status: 400, why: 'a bare carriage return in a header' },
  { headers: ['Content-Length: 4', ' folded: x'], body: '0000', status: 400, why: 'a folded header' }
]

test('framing that can be read in two ways is 400, the connection is closed, and no git runs', async (t) => {
  const stage = await makeStage(t)
  const server = await serve(t, stage, { limits: { idleTimeout: 1_000 } })
  await assertAlive(server)
  const before = await stage.started()
  for (const { headers, body, status, why } of FRAMING) {
    await t.test(`${headers.join(' | ').slice(0, 60)}: ${why}`, async () => {
      // Kept alive on purpose: what follows the body must not be taken for a second request.
      const smuggled = 'GET /git/app.git/HEAD HTTP/1.1\r\nHost: localhost\r\n\r\n'
      const response = await sendRaw(server.port, `POST ${FETCH} HTTP/1.1\r\nHost: localhost\r\n${TYPE}\r\n${headers.join('\r\n')}\r\n\r\n${body}${smuggled}`)
      assert.equal(response.status, status, response.text.slice(0, 300))
      assert.equal(response.text.match(/HTTP\/1\.1/g)?.length, 1, 'one answer')
      assertDiscreet(stage, response, why)
    })
  }
  assert.deepEqual((await stage.started()).filter((line) => line.includes('--stateless-rpc') && !before.includes(line)), [])
  await assertAlive(server)
})

const bomb = (bytes: number): Buffer => gzipSync(Buffer.alloc(bytes, '0'), { level: 9 })

/** gzip bodies, and who is sent them. */
const BOMBS: Array<{ what: string, targets: string[], body: Buffer }> = [
  { what: 'zeros behind a good start', targets: [PUSH], body: gzipSync(Buffer.concat([packet(`${ZERO} ${ID} refs/heads/x\0 report-status`), Buffer.from('0000PACK'), Buffer.alloc(64 * 1024 * 1024)])) },
  { what: 'a bomb within a bomb', targets: [FETCH, PUSH], body: gzipSync(bomb(64 * 1024 * 1024)) }
]

test('a gzip bomb is 413, or what its first bytes deserve, and nothing is applied', async (t) => {
  const stage = await makeStage(t)
  const server = await serve(t, stage, { publicWrite: true, limits: { maxPushBytes: 16 * 1024 * 1024 } })
  for (const { what, targets, body } of BOMBS) {
    for (const target of targets) {
      const response = await post(server.port, target, body, ['Content-Encoding: gzip'])
      assert.ok([400, 413].includes(response.status) || /unpack (?!ok)/.test(response.body.toString()), `${what} to ${target}: ${response.text.slice(0, 300)}`)
      assertDiscreet(stage, response, what)
    }
  }
  const want = packet(`want ${await git(['rev-parse', 'main'], { cwd: join(stage.root, 'app.git') })}\n`)
  const wants = Buffer.concat([packet('command=fetch'), Buffer.from('0001'), Buffer.alloc(64 * 1024 * 1024, want)])
  assert.equal((await post(server.port, FETCH, gzipSync(wants), ['Content-Encoding: gzip', 'Git-Protocol: version=2'])).status, 413)
  assert.equal((await post(server.port, FETCH, gzipSync(Buffer.alloc(64 * 1024 * 1024, want)), ['Content-Encoding: gzip'])).status, 413)
  assert.deepEqual(await refsOf(join(stage.root, 'app.git')), ['refs/heads/main'])
  await assertAlive(server)
})

test('what follows the end of a gzip body is 400, zeros in front of it or not, and the push is not applied', async (t) => {
  const stage = await makeStage(t)
  const server = await serve(t, stage, { publicWrite: true })
  const whole = gzipSync(await pushBody(await makeWorkingCopy(stage.folder, 'source'), 'refs/heads/pushed'))
  for (const garbage of ['\0', '\0garbage', '\0\0\0\0', 'x', '\x1f\x8b']) {
    const response = await post(server.port, PUSH, Buffer.concat([whole, Buffer.from(garbage, 'latin1')]), ['Content-Encoding: gzip'])
    assert.equal(response.status, 400, JSON.stringify(garbage))
    assert.deepEqual(await refsOf(join(stage.root, 'app.git')), ['refs/heads/main'])
  }
})

for (const [target, start] of [
  [FETCH, packet(`want ${ID}\n`)],
  [FETCH, Buffer.from('00')],
  [PUSH, packet(`${ZERO} ${ID} refs/heads/x\0 report-status`)],
  [PUSH, Buffer.concat([packet(`${ZERO} ${ID} refs/heads/x\0 report-status`), Buffer.from('0000PACK')])]
] as const) {
  test(`a body that stops before its Content-Length is ended by the idle timeout, and costs no CPU until then: ${target} ${start.length} bytes`, async (t) => {
    const stage = await makeStage(t)
    const server = await serve(t, stage, { publicWrite: true, limits: { idleTimeout: 1_000 } })
    await assertAlive(server)
    const before = process.cpuUsage()
    const type = `Content-Type: application/x-${target.slice(target.lastIndexOf('/') + 1)}-request`
    const response = await sendRaw(server.port, Buffer.concat([Buffer.from(`POST ${target} HTTP/1.1\r\nHost: localhost\r\n${type}\r\nContent-Length: 1000\r\n\r\n`), start]))
    assert.equal(response.status, 408, response.text)
    const { user, system } = process.cpuUsage(before)
    assert.ok(user + system < 700_000, `${user + system} µs of CPU within a second of waiting`)
    assert.deepEqual(await refsOf(join(stage.root, 'app.git')), ['refs/heads/main'])
    await assertAlive(server)
  })
}

/** Packets of no length. git itself dies of each without a word, or of v2 `0002` with a core dump. */
const PACKETS: Array<{ bytes: string, why: string }> = [
  { bytes: '0003', why: 'shorter than its own length' },
  { bytes: '0004', why: 'an empty one' },
  { bytes: 'ffff', why: 'longer than a packet may be' },
  { bytes: 'fff5', why: 'longer than git reads' },
  { bytes: 'zzzz', why: 'no number' },
  { bytes: '-001', why: 'a sign' },
  { bytes: '+010', why: 'the other one' },
  { bytes: '0x10', why: 'a prefix' },
  { bytes: '  10', why: 'spaces' },
  { bytes: '00\n0', why: 'a newline' },
  { bytes: '\0\0\0\0', why: 'NULs' },
  { bytes: '0002', why: 'the end of a response, which no client says' },
  { bytes: '0001', why: 'a delimiter where none may be' }
]

for (const [what, target, head, headers] of [
  ['a fetch by v2, as the first packet', FETCH, '', ['Git-Protocol: version=2']],
  ['a fetch by v2, behind the command', FETCH, packet('command=fetch').toString(), ['Git-Protocol: version=2']],
  ['a fetch by v2, among the arguments', FETCH, `${packet('command=fetch')}0001${packet(`want ${ID}\n`)}`, ['Git-Protocol: version=2']],
  ['a fetch by v0, as the first packet', FETCH, '', []],
  ['a fetch by v0, behind a want', FETCH, packet(`want ${ID}\n`).toString(), []],
  ['a push, as the first packet', PUSH, '', []],
  ['a push, behind a command', PUSH, packet(`${ZERO} ${ID} refs/heads/x\0 report-status`).toString(), []]
] as const) {
  test(`a packet without a good length is 400 and no git runs: ${what}`, async (t) => {
    const stage = await makeStage(t)
    const server = await serve(t, stage, { publicWrite: true })
    await assertAlive(server)
    await stage.forget()
    for (const { bytes, why } of PACKETS) {
      // By v0 git takes both for a flush, which ends nothing but the request.
      if (target === FETCH && headers.length === 0 && ['0001', '0002'].includes(bytes)) continue
      // Behind a v2 command a delimiter is what comes next.
      if (bytes === '0001' && head === packet('command=fetch').toString()) continue
      const response = await post(server.port, target, Buffer.from(`${head}${bytes}${'x'.repeat(20)}0000`, 'latin1'), [...headers])
      assert.equal(response.status, 400, `${JSON.stringify(bytes)} (${why}): ${response.text}`)
      assertDiscreet(stage, response, why)
    }
    assert.deepEqual((await stage.started()).filter((line) => line.includes('--stateless-rpc')), [])
    await assertAlive(server)
  })
}

/** What comes behind a line that only git may understand, so that git is the first to see it, and its words. */
const BEHIND: Array<{ bytes: string, words: string, why: string }> = [
  { bytes: 'zzzz', words: 'protocol error: bad line length character: zzzz', why: 'no number' },
  { bytes: '\xff\x01\xfe\x02', words: 'protocol error: bad line length character: ', why: 'no text' },
  { bytes: '\nzzz', words: 'protocol error: bad line length character:', why: 'a newline' },
  { bytes: '0003', words: 'protocol error: bad line length 3', why: 'shorter than its own length' },
  { bytes: 'ffff', words: 'protocol error: bad line length 65531', why: 'longer than a packet may be' },
  { bytes: '0020short', words: 'the remote end hung up unexpectedly', why: 'an end within a packet' },
  { bytes: '00', words: 'the remote end hung up unexpectedly', why: 'an end within a length' },
  { bytes: '', words: 'the remote end hung up unexpectedly', why: 'an end without a flush' },
  { bytes: '000eERR hello\n', words: 'remote error: hello', why: 'an error of the client' }
]

for (const [protocol, head, headers] of [
  [0, (tip: string) => packet(`want ${tip} side-band-64k \u00e9`), []],
  [2, (tip: string) => `${packet('command=fetch')}0001${packet(`want ${tip.toUpperCase()}`)}`, ['Git-Protocol: version=2']]
] as const) {
  test(`what git finds to be no packet is refused in its words, and is no error of the server: a fetch by v${protocol}`, async (t) => {
    const stage = await makeStage(t)
    const outcomes: string[] = []
    const server = await serve(t, stage, { hooks: { onFinish: ({ outcome }) => { outcomes.push(outcome) } } })
    const tip = await git(['rev-parse', 'main'], { cwd: join(stage.root, 'app.git') })
    for (const { bytes, words, why } of BEHIND) {
      await t.test(`${JSON.stringify(bytes)}: ${why}`, async () => {
        const response = await post(server.port, FETCH, Buffer.concat([Buffer.from(head(tip)), Buffer.from(bytes, 'latin1')]), [...headers])
        assert.equal(response.status, 200, response.text)
        assert.ok(response.text.includes(`ERR ${words}`), response.text)
        assertDiscreet(stage, response, why)
      })
    }
    await assertAlive(server)
    await server.app.close()
    assert.deepEqual(outcomes.slice(0, BEHIND.length), BEHIND.map(() => 'refused'))
    assert.deepEqual(server.log.filter(({ level }) => Number(level) > 30), [])
  })
}

test('what git says of another server, which it has asked for what it lacks, is told to nobody', async (t) => {
  const stage = await makeStage(t)
  const said = join(stage.folder, 'said')
  await writeFile(said, 'fatal: remote error: /srv/private is not exported\nfatal: could not fetch ID from promisor remote\n')
  const path = await gitShim(stage.folder, 'upload-pack', `cat '${said}' >&2; exit 128`)
  const server = await serve(t, stage, { git: { path } })
  const response = await post(server.port, FETCH, Buffer.concat([packet(`want ${ID} \u00e9`), Buffer.from('0000')]))
  assert.deepEqual([response.status, response.text.includes('private')], [500, false])
})

/** Commands of a push, one list for each row. */
const COMMANDS: Array<{ lines: Array<string | Buffer>, why: string }> = [
  { lines: [`${ZERO} ID refs/heads/a\0 report-status`, `${ZERO} ID refs/heads/a`], why: 'one ref twice' },
  { lines: [`${ZERO} ${'AB'.repeat(20)} refs/heads/a\0 report-status`], why: 'an upper-case id' },
  { lines: [`${ZERO} ID refs/heads/a\0 report-status`, `${ZERO} ID refs/heads/b\0 report-status`], why: 'NUL on the second line' },
  { lines: [`${ZERO} ID refs/heads/a\0 report-status\0x`], why: 'two NULs' },
  { lines: [`${ZERO} ID refs/heads/\0a report-status`], why: 'NUL within a name' },
  { lines: [`${ZERO}  ID refs/heads/a\0 report-status`], why: 'two spaces' },
  { lines: [`${ZERO}\tID\trefs/heads/a\0 report-status`], why: 'tabs' },
  { lines: [`${ZERO} ID\0 report-status`], why: 'no ref' },
  { lines: [`${ZERO.slice(1)} ID refs/heads/a\0 report-status`], why: 'a short id' },
  { lines: [`0${ZERO} ID refs/heads/a\0 report-status`], why: 'a long id' },
  { lines: ['push-cert\0 report-status\n', `${ZERO} ID refs/heads/a\n`], why: 'a certificate without its end' },
  { lines: [`${ZERO} ID refs/heads/a\0 report-status`, 'push-cert\0\n', 'push-cert-end\n'], why: 'a certificate behind commands' },
  { lines: [`${ZERO} ID config\0 report-status`], why: 'a file of the repository' },
  { lines: [`${ZERO} ID HEAD\0 report-status`], why: 'HEAD itself' },
  { lines: [`${ZERO} ID refs/heads/../../config\0 report-status`], why: 'out of refs' },
  { lines: [`${ZERO} ID refs/heads/a.lock\0 report-status`], why: 'the name of a lock' },
  { lines: [`${ZERO} ID refs/heads/a\nb\0 report-status`], why: 'a newline in a name' },
  { lines: [`${ZERO} ID /etc/passwd\0 report-status`], why: 'an absolute path' },
  { lines: [`${ZERO} ID refs\0 report-status`], why: 'the folder of all refs' }
]

test('commands that are outside of git\'s grammar, or name what is no ref, are 400 and start no git', async (t) => {
  const stage = await makeStage(t)
  const server = await serve(t, stage, { publicWrite: true })
  const app = join(stage.root, 'app.git')
  const source = await makeWorkingCopy(stage.folder, 'source')
  const whole = await pushBody(source, 'refs/heads/x')
  const pack = whole.subarray(whole.indexOf('0000PACK') + 4)
  const id = whole.toString('latin1', 45, 85)
  const refs = await refsOf(app)
  for (const { lines, why } of COMMANDS) {
    await t.test(why, async () => {
      await stage.forget()
      const body = Buffer.concat([...lines.map((line) => packet(Buffer.from(line.toString('latin1').replace('ID', id), 'latin1'))), Buffer.from('0000'), pack])
      const response = await post(server.port, PUSH, body)
      assertDiscreet(stage, response, why)
      assert.deepEqual(await refsOf(app), refs)
      assert.equal(response.status, 400, response.text)
      assert.deepEqual((await stage.started()).filter((line) => line.includes('receive-pack')), [])
    })
  }
  await assertAlive(server)
})

test('a list of commands that is split at every byte is decided in the same way', async (t) => {
  const stage = await makeStage(t)
  const asked: string[] = []
  const server = await serve(t, stage, { publicWrite: true, git: {}, hooks: { onPush: (push) => { asked.push(push.commands.map(({ ref }) => ref).join()); push.rejectAll('no') } } })
  const body = Buffer.concat([packet(`${ZERO} ${ID} refs/heads/a\0 report-status`), packet(`${ZERO} ${ID} refs/heads/b`), Buffer.from('0000')])
  for (let at = 1; at < body.length; at++) {
    const [first, second] = [body.subarray(0, at), body.subarray(at)]
    const chunk = (part: Buffer): Buffer => Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')])
    const response = await sendRaw(server.port, Buffer.concat([
      Buffer.from(`POST ${PUSH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-git-receive-pack-request\r\nTransfer-Encoding: chunked\r\n\r\n`),
      chunk(first), chunk(second), Buffer.from('0\r\n\r\n')
    ]))
    assert.match(response.text, /ng refs\/heads\/a no[^]*ng refs\/heads\/b no/, `split at ${at}`)
  }
  assert.deepEqual([...new Set(asked)], ['refs/heads/a,refs/heads/b'])
  assert.equal(asked.length, body.length - 1)
})

test('REMOTE_ADDR is the connection\'s, and a header\'s only where the host trusts its proxy', async (t) => {
  for (const trustProxy of [false, true]) {
    const stage = await makeStage(t)
    const server = await serve(t, stage, { cache: { answers: false } }, { fastify: { trustProxy } })
    await send(server.port, 'GET', '/git/app.git/info/refs?service=git-upload-pack', ['X-Forwarded-For: 192.0.2.7'])
    const [served] = (await stage.environments()).filter((environment) => 'REMOTE_ADDR' in environment)
    assert.equal(served?.['REMOTE_ADDR'], trustProxy ? '192.0.2.7' : '127.0.0.1')
  }
})
