import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { encodePushHead, type PushHead } from '../../lib/protocol/push-head.ts'
import { PushRequestParser } from '../../lib/protocol/push-request.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { commitFile, commitRandom, makeRepository } from '../fixtures/repository.ts'
import { type Exchanged, headOf, pieces, serve } from './push-scene.ts'

interface Scene {
  folder: string
  /** Working copy. */
  copy: string
  url: string
  /** Pushes with git; answers the bodies of its POSTs. */
  push: (args: string[], from?: string) => Promise<Buffer[]>
}

async function makeScene (t: TestContext, init: string[] = []): Promise<Scene> {
  const folder = await temporaryFolder(t)
  const repository = await makeRepository(folder, 'app.git', { commits: 0, init })
  for (const setting of ['receive.advertisePushOptions=true', 'receive.certNonceSeed=seed', 'receive.certNonceSlop=60']) {
    await git(['config', ...setting.split('=')], { cwd: repository })
  }
  const recorded: Exchanged[] = []
  const url = `${await serve(t, folder, (request) => { recorded.push(request) })}/app.git`
  const copy = join(folder, 'copy')
  await git(['init', '--quiet', ...init, copy])
  await commitFile(copy, 'readme.txt', 'hello\n')
  const push = async (args: string[], from = copy): Promise<Buffer[]> => {
    recorded.length = 0
    await git(['push', '--quiet', ...args], { cwd: from })
    return recorded.filter(({ method }) => method === 'POST').map(({ body }) => body)
  }
  return { folder, copy, url, push }
}

/** The one head that git sent; also in single bytes, and encoded again to exactly the bytes of git. */
function onlyHead (bodies: Buffer[]): PushHead {
  assert.equal(bodies.length, 1)
  const body = bodies[0] ?? Buffer.alloc(0)
  const parsed = new PushRequestParser().push(body)
  assert.equal(parsed.state, 'complete', 'reason' in parsed ? parsed.reason : '')
  assert.ok(parsed.state === 'complete')
  const { head, consumed } = parsed
  assert.deepEqual(encodePushHead(head, head.commands), body.subarray(0, consumed))
  const rest = body.toString('latin1', consumed, consumed + 4)
  assert.equal(rest, head.commands.every(({ kind }) => kind === 'delete') ? '' : 'PACK')
  const parser = new PushRequestParser()
  const states = pieces(body.subarray(0, consumed), Array.from({ length: consumed }, () => 1)).map((byte) => parser.push(byte))
  assert.deepEqual(states.findIndex(({ state }) => state !== 'incomplete'), consumed - 1)
  assert.deepEqual(states.at(-1), { state: 'complete', head, consumed: 1 })
  return head
}

function changes (head: PushHead): string[] {
  return head.commands.map(({ kind, ref }) => `${kind} ${ref}`)
}

test('create, update, force, tags and delete', async (t) => {
  const { copy, url, push } = await makeScene(t)
  const first = await git(['rev-parse', 'HEAD'], { cwd: copy })
  const created = onlyHead(await push([url, 'main']))
  assert.deepEqual(created.commands, [{ old: '0'.repeat(40), new: first, ref: 'refs/heads/main', kind: 'create' }])
  assert.ok(['report-status-v2', 'side-band-64k', 'quiet', 'object-format=sha1'].every((name) => created.capabilities.includes(name)))
  assert.match(created.agent ?? '', /^git\/2\./)

  const second = await commitFile(copy, 'a.txt', 'a\n')
  assert.deepEqual(onlyHead(await push([url, 'main'])).commands, [{ old: first, new: second, ref: 'refs/heads/main', kind: 'update' }])

  await git(['commit', '--quiet', '--amend', '-m', 'other'], { cwd: copy })
  await git(['tag', 'v1'], { cwd: copy })
  await git(['tag', '-m', 'two', 'v2'], { cwd: copy })
  assert.deepEqual(changes(onlyHead(await push(['--force', '--tags', url, 'main', 'main:refs/heads/ünï/日本']))), ['update refs/heads/main', 'create refs/heads/ünï/日本', 'create refs/tags/v1', 'create refs/tags/v2'])
  assert.deepEqual(changes(onlyHead(await push(['--delete', url, 'v1', 'ünï/日本']))), ['delete refs/heads/ünï/日本', 'delete refs/tags/v1'])
  assert.deepEqual(changes(onlyHead(await push([url, ':refs/tags/v2', 'main:refs/notes/commits']))).sort(), ['create refs/notes/commits', 'delete refs/tags/v2'])
})

test('atomic, with options and a session id', async (t) => {
  const { folder, url, push, copy } = await makeScene(t)
  await git(['config', 'transfer.advertiseSID', 'true'], { cwd: join(folder, 'app.git') })
  await git(['config', 'transfer.advertiseSID', 'true'], { cwd: copy })
  const head = onlyHead(await push(['--atomic', '-o', 'ci.skip', '-o', 'title=ä "b" \\ $c', url, 'main', 'main:other']))
  assert.deepEqual(changes(head), ['create refs/heads/main', 'create refs/heads/other'])
  assert.deepEqual(head.options, ['ci.skip', 'title=ä "b" \\ $c'])
  assert.ok(head.capabilities.includes('atomic'))
  assert.match(head.sessionId ?? '', /^\d+T/)
})

test('the object format of SHA-256', async (t) => {
  const { url, push } = await makeScene(t, ['--object-format=sha256'])
  const head = onlyHead(await push([url, 'main']))
  assert.equal(head.objectFormat, 'sha256')
  assert.equal(head.commands[0]?.new.length, 64)
})

test('a push from a shallow clone', async (t) => {
  const { folder, copy, url, push } = await makeScene(t)
  const tip = await commitFile(copy, 'a.txt', 'a\n')
  await push([url, 'main'])
  const shallow = join(folder, 'shallow')
  await git(['clone', '--quiet', '--depth=1', url, shallow])
  await commitFile(shallow, 'b.txt', 'b\n')
  const head = onlyHead(await push([url, 'main'], shallow))
  assert.deepEqual(head.shallow, [tip])
  assert.deepEqual(changes(head), ['update refs/heads/main'])
})

test('a large push is announced by a probe', async (t) => {
  const { copy, url, push } = await makeScene(t)
  await commitRandom(copy, 'large.bin', 300_000)
  await git(['config', 'http.postBuffer', '65536'], { cwd: copy })
  const [probe, ...bodies] = await push([url, 'main'])
  assert.deepEqual(headOf(probe ?? Buffer.alloc(0)).commands, [])
  assert.deepEqual(changes(onlyHead(bodies)), ['create refs/heads/main'])
})

test('a signed push, whose certificate is the one that git stores', async (t) => {
  const { folder, copy, url, push } = await makeScene(t)
  const key = join(folder, 'key')
  assert.equal(spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'ann', '-f', key]).status, 0)
  const hook = join(folder, 'app.git', 'hooks', 'pre-receive')
  await writeFile(hook, '#!/bin/sh\ngit cat-file blob "$GIT_PUSH_CERT" > ../certificate\ntest "$GIT_PUSH_CERT_NONCE_STATUS" = OK\n', { mode: 0o755 })
  await git(['config', 'gpg.format', 'ssh'], { cwd: copy })
  await git(['config', 'user.signingKey', key], { cwd: copy })
  const head = onlyHead(await push(['--signed', '-o', 'one', '-o', 'two words', url, 'main', 'main:other']))
  assert.deepEqual(changes(head), ['create refs/heads/main', 'create refs/heads/other'])
  assert.deepEqual(head.options, ['one', 'two words'])
  assert.match(head.certificate ?? '', /^certificate version 0\.1\npusher .*\npushee http:.*\nnonce .*\npush-option one\npush-option two words\n\n/)
  assert.equal(head.certificate, await readFile(join(folder, 'certificate'), 'utf8'))
})
