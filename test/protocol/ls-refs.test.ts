import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { completeRequest, parseLsRefs, requestKey, selectRefs, type LsRefsRequest } from '../../lib/protocol/ls-refs.ts'
import { encodePacket } from '../../lib/protocol/pkt-line.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, gitEnvironment } from '../fixtures/git.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { mutated } from './mutation.ts'

type Line = string | Buffer | { raw: string }

/** Packets of text, and what goes between them as it is. */
function lines (...parts: Line[]): Buffer {
  return Buffer.concat(parts.map((part) => typeof part === 'string' || Buffer.isBuffer(part) ? encodePacket(part) : Buffer.from(part.raw)))
}

const [FLUSH, DELIMITER] = [{ raw: '0000' }, { raw: '0001' }]
const NOTHING: LsRefsRequest = { peel: false, symrefs: false, unborn: false, prefixes: [], objectFormat: undefined }

test('a request of git is understood', () => {
  const asked = lines('command=ls-refs\n', 'agent=git/2.39.5', 'object-format=sha1', DELIMITER, 'peel\n', 'symrefs\n', 'unborn\n', 'ref-prefix refs/heads/\n', 'ref-prefix HEAD', FLUSH)
  assert.deepEqual(parseLsRefs(asked), { peel: true, symrefs: true, unborn: true, prefixes: ['refs/heads/', 'HEAD'], objectFormat: 'sha1' })
  assert.deepEqual(parseLsRefs(lines('command=ls-refs', FLUSH)), NOTHING)
  assert.deepEqual(parseLsRefs(lines('command=ls-refs', DELIMITER, FLUSH)), NOTHING)
  assert.deepEqual(parseLsRefs(lines('command=ls-refs', DELIMITER, 'ref-prefix \n', 'ref-prefix  x', FLUSH)), { ...NOTHING, prefixes: ['', ' x'] })
})

{
  const known = ['command=ls-refs', DELIMITER, 'peel', FLUSH]
  const unknown: Record<string, Buffer> = {
    nothing: Buffer.alloc(0),
    'a probe': Buffer.from('0000'),
    'no flush': lines(...known.slice(0, -1)),
    'no flush after a command': lines('command=ls-refs'),
    'a byte after it': lines(...known, { raw: '0' }),
    'a second request': lines(...known, ...known),
    'a second flush': lines(...known, FLUSH),
    'a cut packet': lines(...known).subarray(0, -6),
    'another command': lines('command=fetch', DELIMITER, FLUSH),
    'a command like it': lines('command=ls-refs2', FLUSH),
    'a command with two newlines': lines('command=ls-refs\n\n', FLUSH),
    'two commands': lines('command=ls-refs', 'command=ls-refs', FLUSH),
    'a capability first': lines('agent=x', 'command=ls-refs', FLUSH),
    'an unknown capability': lines('command=ls-refs', 'server-option=x', FLUSH),
    'a session id, which only a server that advertised one takes': lines('command=ls-refs', 'session-id=x', FLUSH),
    'two object formats': lines('command=ls-refs', 'object-format=sha1', 'object-format=sha1', FLUSH),
    'an argument among the capabilities': lines('command=ls-refs', 'peel', FLUSH),
    'an unknown argument': lines('command=ls-refs', DELIMITER, 'peeled', FLUSH),
    'an argument with a value': lines('command=ls-refs', DELIMITER, 'peel=1', FLUSH),
    'a prefix without a space': lines('command=ls-refs', DELIMITER, 'ref-prefix', FLUSH),
    'two delimiters': lines('command=ls-refs', DELIMITER, DELIMITER, FLUSH),
    'a delimiter first': lines(DELIMITER, 'command=ls-refs', FLUSH),
    'a response end': lines('command=ls-refs', { raw: '0002' }),
    'an empty packet': lines('command=ls-refs', DELIMITER, { raw: '0004' }, FLUSH),
    'no length': lines('command=ls-refs', DELIMITER, { raw: '000g' }, FLUSH),
    'an impossible length': lines('command=ls-refs', DELIMITER, { raw: '0003' }, FLUSH),
    'a NUL in a prefix, where it ends for git': lines('command=ls-refs', DELIMITER, 'ref-prefix refs/\0x', FLUSH),
    'a NUL behind an argument': lines('command=ls-refs', DELIMITER, 'peel\0', FLUSH),
    'a NUL behind the command': lines('command=ls-refs\0', FLUSH),
    'a NUL in a capability': lines('command=ls-refs', 'agent=\0', FLUSH)
  }
  for (const [what, body] of Object.entries(unknown)) {
    test(`not exactly one request that is known through and through: ${what}`, () => assert.equal(parseLsRefs(body), null))
  }
}

const noise = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))
const word = fc.constantFrom<Line>('command=ls-refs', 'agent=x', 'object-format=sha1', 'peel', 'ref-prefix refs/', DELIMITER, FLUSH, { raw: '0002' }, { raw: '0004' })
const capability = fc.constantFrom<Line>('agent=x\n', 'agent=\0', 'object-format=sha1')
const argument = fc.constantFrom<Line>('peel\n', 'symrefs', 'unborn', 'ref-prefix a\0b', 'ref-prefix ', 'ref-prefix refs/\n')
const likely = fc.tuple(fc.array(capability, { maxLength: 2 }), fc.array(argument, { maxLength: 4 })).map(([some, more]) => ['command=ls-refs', ...some, DELIMITER, ...more, FLUSH])

test('any bytes are a request or null, and never an error', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    assert.equal(parseLsRefs(Buffer.from(bytes)), null)
  }), { numRuns: 500 })
  fc.assert(fc.property(fc.oneof(likely, fc.array(fc.oneof(word, noise), { maxLength: 12 })), (parts) => {
    const body = lines(...parts)
    const request = parseLsRefs(body)
    if (request === null) return
    // Nothing that was understood may mean something else when it goes on, stops short or holds a NUL.
    assert.equal(parseLsRefs(Buffer.concat([body, Buffer.from('x')])), null)
    for (let length = 0; length < body.length; length++) assert.equal(parseLsRefs(body.subarray(0, length)), null)
    assert.ok(!body.includes(0))
  }), { numRuns: 3_000 })
})

test('requests that get the same answer have the same key, others another', () => {
  const same = [['a', 'b'], ['b', 'a'], ['a', 'b', 'a']].map((prefixes) => requestKey({ ...NOTHING, prefixes }))
  assert.equal(new Set(same).size, 1)
  const others = [{ peel: true }, { symrefs: true }, { unborn: true }, { prefixes: ['a'] }, { prefixes: ['a,b'] }, { prefixes: ['a', 'b'] }, { prefixes: ['"a"'] }, { prefixes: [''] }, {}]
  assert.equal(new Set(others.map((part) => requestKey({ ...NOTHING, ...part }))).size, others.length)
})

test('a listing that is none is refused', async () => {
  for (const bad of ['', '0005', '003dx', 'zzzz', '0001', '0004']) {
    await assert.rejects(selectRefs(Buffer.from(bad), NOTHING), /malformed/, bad)
  }
})

/** What git itself answers; `body` must be a request that it takes. */
function askGit (path: string, body: Buffer): Buffer {
  const { status, stdout, stderr } = spawnSync('git', ['upload-pack', '--stateless-rpc', path], { input: body, env: gitEnvironment({ GIT_PROTOCOL: 'version=2' }) })
  assert.equal(status, 0, stderr.toString())
  return stdout
}

async function makeRefs (t: TestContext, init: string[] = []): Promise<string> {
  const path = await makeRepository(await temporaryFolder(t), 'app.git', { commits: 3, init })
  const run = async (...args: string[]): Promise<string> => await git(args, { cwd: path })
  await run('tag', '-a', '-m', 'one', 'v1', 'main')
  await run('tag', '-a', '-m', 'two', 'nested', 'v1')
  await run('tag', '-a', '-m', 'three', 'nested-more', 'nested')
  await run('tag', 'light', 'main~1')
  await run('pack-refs', '--all')
  for (const name of ['refs/heads/topic', 'refs/heads/team/one', 'refs/heads/tea', 'refs/heads/grün-木-🌳', 'refs/notes/commits', 'refs/symref-target=z']) await run('update-ref', name, 'main~1')
  await run('symbolic-ref', 'refs/heads/alias', 'refs/heads/main')
  await run('symbolic-ref', 'refs/remotes/origin/HEAD', 'refs/tags/nested')
  await run('symbolic-ref', 'refs/heads/dangling', 'refs/heads/nowhere')
  // A name that is no UTF-8.
  writeFileSync(Buffer.concat([Buffer.from(join(path, 'refs/heads/latin-')), Buffer.from([0xfc])]), `${await run('rev-parse', 'main')}\n`)
  return path
}

const flag = fc.boolean()
const prefix = fc.oneof(
  fc.constantFrom('', 'HEAD', 'H', 'HEADS', 'refs/', 'refs/heads/', 'refs/heads/main', 'refs/heads/mai', 'refs/heads/main/', 'refs/heads/tea', 'refs/heads/team/', 'refs/tags/', 'refs/tags/nested', 'refs/tags/v1^{}', 'refs/nothing', 'refs/heads/grün', 'refs/heads/latin-\u00fc', 'main', '/', 'refs/heads/dangling', '*', 'unborn'),
  fc.string({ maxLength: 5 }).filter((text) => !/[\0\n]/.test(text))
)
const request = fc.record({ peel: flag, symrefs: flag, unborn: flag, prefixes: fc.array(prefix, { maxLength: 6 }) })

const HEADS: Record<string, (path: string) => Promise<unknown>> = {
  'on a branch': async () => {},
  detached: async (path) => await git(['update-ref', '--no-deref', 'HEAD', 'main~1'], { cwd: path }),
  unborn: async (path) => await git(['symbolic-ref', 'HEAD', 'refs/heads/unborn'], { cwd: path }),
  'on an alias': async (path) => await git(['symbolic-ref', 'HEAD', 'refs/heads/alias'], { cwd: path }),
  'of a SHA-256 repository': async () => {}
}

for (const [what, move] of Object.entries(HEADS)) {
  test(`chosen from one listing as git itself would, HEAD ${what}`, async (t) => {
    const format = what.includes('SHA-256') ? 'sha256' : undefined
    const path = await makeRefs(t, format === undefined ? [] : [`--object-format=${format}`])
    await move(path)
    const complete = askGit(path, completeRequest(format, true))
    await fc.assert(fc.asyncProperty(request, async ({ peel, symrefs, unborn, prefixes }) => {
      const flags = Object.entries({ peel, symrefs, unborn }).filter(([, on]) => on).map(([name]) => name)
      const capabilities = format === undefined ? [] : [`object-format=${format}`]
      const body = lines('command=ls-refs\n', ...capabilities, DELIMITER, ...flags, ...prefixes.map((name) => `ref-prefix ${name}\n`), FLUSH)
      const parsed = parseLsRefs(body) ?? assert.fail('not understood')
      const [ours, theirs] = [await selectRefs(complete, parsed), askGit(path, body)]
      assert.equal(ours.toString('latin1'), theirs.toString('latin1'))
    }), { numRuns: 60 })
  })
}

test('where git does not tell of an unborn HEAD, the listing does not either', async (t) => {
  const path = await makeRefs(t)
  await git(['symbolic-ref', 'HEAD', 'refs/heads/unborn'], { cwd: path })
  await git(['config', 'lsrefs.unborn', 'ignore'], { cwd: path })
  const complete = askGit(path, completeRequest(undefined, false))
  const body = lines('command=ls-refs', DELIMITER, 'symrefs', FLUSH)
  assert.deepEqual(await selectRefs(complete, parseLsRefs(body) ?? assert.fail()), askGit(path, body))
})

test('a changed request that is understood is one that git takes, and is answered as git does', async (t) => {
  const path = await makeRefs(t)
  const complete = askGit(path, completeRequest('sha1', true))
  const whole = fc.tuple(fc.subarray(['agent=git/2.39.5', 'object-format=sha1']), fc.subarray(['peel\n', 'symrefs\n', 'unborn\n', 'ref-prefix refs/heads/\n', 'ref-prefix HEAD\n', 'ref-prefix refs/tags/\n']))
    .map(([capabilities, args]) => ['command=ls-refs\n', ...capabilities, DELIMITER, ...args, FLUSH])
  let understood = 0
  await fc.assert(fc.asyncProperty(mutated(whole), async (body) => {
    const parsed = parseLsRefs(body)
    // A request in another format is not answered from the listing.
    if (parsed === null || (parsed.objectFormat ?? 'sha1') !== 'sha1') return
    understood++
    assert.equal((await selectRefs(complete, parsed)).toString('latin1'), askGit(path, body).toString('latin1'), body.toString('latin1'))
  }), { numRuns: 250 })
  assert.ok(understood > 30, String(understood))
})
