/**
 * Well-framed requests that git dies of because of what they ask. git-http-backend answers 200 with what git had said by then, often nothing. Here
 * the same bytes are followed by git's words in git's protocol, so that the user reads them; they are no error of the server.
 */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { GitHttpOptions } from '../../lib/index.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { askHttpBackend } from '../fixtures/http-backend.ts'
import { postFetch } from '../fixtures/post-fetch.ts'
import { eventually, processesAbout } from '../fixtures/processes.ts'
import { fetchV0, fetchV2, packets, FLUSH, DELIMITER } from '../fixtures/fetch-request.ts'
import { OpenPost } from '../fixtures/raw-push.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { startServer, type TestServer } from '../fixtures/server.ts'
import { gitShim } from '../fixtures/shims.ts'

const UNKNOWN = 'ab'.repeat(20)

interface Row {
  what: string
  protocol: 0 | 1 | 2
  body: (tip: string, blob: string) => Buffer
  /** git's words; null where it says them to the client itself. */
  words: string | null
}

const ROWS: Row[] = [
  ...([0, 1, 2] as const).map((protocol) => ({
    what: 'an id that nobody has', protocol, words: null, body: () => protocol === 2 ? fetchV2({ wants: [UNKNOWN] }) : fetchV0({ wants: [UNKNOWN] })
  })),
  { what: 'a filter that was not offered', protocol: 2, words: "unexpected line: 'filter blob:none'", body: (tip) => fetchV2({ wants: [tip], lines: ['filter blob:none'] }) },
  { what: 'a filter that was not offered', protocol: 0, words: 'upload-pack: filtering capability not negotiated', body: (tip) => fetchV0({ wants: [tip], lines: ['filter blob:none'] }) },
  { what: 'a depth of 0', protocol: 2, words: 'Invalid deepen: deepen 0', body: (tip) => fetchV2({ wants: [tip], lines: ['deepen 0'] }) },
  { what: 'a depth of 0', protocol: 0, words: 'Invalid deepen: deepen 0', body: (tip) => fetchV0({ wants: [tip], lines: ['deepen 0'] }) },
  { what: 'a depth that is no number', protocol: 2, words: 'Invalid deepen: deepen x', body: (tip) => fetchV2({ wants: [tip], lines: ['deepen x'] }) },
  { what: 'a time that is none', protocol: 2, words: 'Invalid deepen-since: deepen-since x', body: (tip) => fetchV2({ wants: [tip], lines: ['deepen-since x'] }) },
  { what: 'a time after the last commit', protocol: 2, words: 'no commits selected for shallow requests', body: (tip) => fetchV2({ wants: [tip], lines: ['deepen-since 4000000000'] }) },
  { what: 'a time after the last commit', protocol: 0, words: 'no commits selected for shallow requests', body: (tip) => fetchV0({ wants: [tip], lines: ['deepen-since 4000000000'] }) },
  { what: 'two limits at once', protocol: 2, words: 'upload-pack: deepen and deepen-since (or deepen-not) cannot be used together', body: (tip) => fetchV2({ wants: [tip], lines: ['deepen 1', 'deepen-since 1600000000'] }) },
  { what: 'a limit that is no ref', protocol: 2, words: 'upload-pack: ambiguous deepen-not: deepen-not nothing', body: (tip) => fetchV2({ wants: [tip], lines: ['deepen-not nothing'] }) },
  { what: 'a history that ends at a file', protocol: 2, words: 'invalid shallow object BLOB', body: (tip, blob) => fetchV2({ wants: [tip], shallows: [blob] }) },
  { what: 'an argument that git does not know', protocol: 2, words: "unexpected line: 'please'", body: (tip) => fetchV2({ wants: [tip], lines: ['please'] }) },
  { what: 'a ref that is not offered by name', protocol: 2, words: "unexpected line: 'want-ref refs/heads/nothing'", body: () => fetchV2({ wants: [], lines: ['want-ref refs/heads/nothing'] }) },
  { what: 'an id that is none', protocol: 2, words: "upload-pack: protocol error, expected to get oid, not 'want x'", body: () => fetchV2({ wants: ['x'] }) },
  { what: 'an id that is none', protocol: 0, words: "upload-pack: protocol error, expected to get object ID, not 'want x multi_ack_detailed no-done side-band-64k agent=git/2.39.5'", body: () => fetchV0({ wants: ['x'] }) },
  { what: 'a have that is none', protocol: 2, words: "upload-pack: expected SHA1 object, got 'x'", body: (tip) => fetchV2({ wants: [tip], haves: ['x'] }) },
  { what: 'a capability that git does not know', protocol: 2, words: "unknown capability 'please=1'", body: () => packets(['command=fetch', 'please=1', DELIMITER, FLUSH]) },
  { what: 'a command that git does not know', protocol: 2, words: "invalid command 'please'", body: () => packets(['command=please', FLUSH]) },
  { what: 'another object format', protocol: 2, words: 'mismatched object format: server sha1; client sha256', body: (tip) => fetchV2({ wants: [tip], objectFormat: 'sha256' }) },
  { what: 'an argument of ls-refs that git does not know', protocol: 2, words: "unexpected line: 'please'", body: () => packets(['command=ls-refs', DELIMITER, 'please', FLUSH]) },
  { what: 'something else than a want', protocol: 0, words: "upload-pack: protocol error, expected to get object ID, not 'hello'", body: () => packets(['hello', FLUSH]) }
]

async function scene (t: TestContext, options: GitHttpOptions = {}): Promise<TestServer & { root: string, served: string, tip: string, blob: string }> {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'app.git', { commits: 3 })
  const [tip, blob] = await Promise.all(['main', 'main:file-1.txt'].map(async (name) => await git(['rev-parse', name], { cwd: served }))) as [string, string]
  return { root, served, tip, blob, ...await startServer(t, { root, publicWrite: true, ...options }) }
}

/** Nobody is called at night for it. */
async function assertNoServerError ({ log, app, root }: TestServer & { root: string }): Promise<void> {
  await eventually(async () => app.gitHttp.active === 0 && (await processesAbout(root)).length === 0, 5_000, 'everything ends')
  assert.deepEqual(log.filter(({ level }) => Number(level) > 30), [])
  for (const { msg, outcome } of log) if (msg === 'git operation') assert.match(String(outcome), /^(?:completed|refused)$/)
}

function error (words: string): Buffer {
  return Buffer.from(`${(words.length + 8).toString(16).padStart(4, '0')}ERR ${words}`)
}

for (const packs of [true, false]) {
  test(`the client reads what git dies of, behind the bytes of git-http-backend (${packs ? 'with' : 'without'} the cache of packs)`, async (t) => {
    const used = await scene(t, { cache: packs ? {} : { packs: false } })
    for (const { what, protocol, body: make, words } of ROWS) {
      await t.test(`${what}, protocol ${protocol}`, async () => {
        const body = make(used.tip, used.blob)
        const target = '/app.git/git-upload-pack'
        const headers = { 'content-type': 'application/x-git-upload-pack-request', ...(protocol === 0 ? {} : { 'git-protocol': `version=${protocol}` }) }
        const expected = await askHttpBackend(used.root, { method: 'POST', target, headers, body })
        // A clean end: postFetch would fail.
        const { status, headers: got, body: answer } = await postFetch(`${used.url}/app.git`, body, { protocol })
        assert.deepEqual([status, got['content-type'], got['cache-control']], [expected.status, expected.headers['content-type'], expected.headers['cache-control']])
        const explained = words === null ? Buffer.alloc(0) : error(words.replace('BLOB', used.blob))
        assert.equal(answer.toString(), Buffer.concat([expected.body, explained]).toString())
        await eventually(async () => used.app.gitHttp.active === 0, 5_000, 'the operation ends')
      })
    }
    await assertNoServerError(used)
    assert.equal(used.log.filter(({ msg }) => msg === 'git refused the request').length, ROWS.length)
    await git(['clone', '--quiet', `${used.url}/app.git`, join(await temporaryFolder(t), 'clone')])
  })
}

test('a filter that is none reaches git where filters are offered', async (t) => {
  const used = await scene(t)
  await git(['config', 'uploadpack.allowFilter', 'true'], { cwd: used.served })
  for (const [filter, words] of [
    ['nonsense', "invalid filter-spec 'nonsense'"],
    ['tree:x', "expected 'tree:<depth>'"],
    ['combine:', 'expected something after combine:'],
    ['sparse:path=x', 'sparse:path filters support has been dropped'],
    ['object:type=x', "'x' for 'object:type=<type>' is not a valid object type"]
  ] as const) {
    const { status, body } = await postFetch(`${used.url}/app.git`, fetchV2({ wants: [used.tip], lines: [`filter ${filter}`] }))
    assert.deepEqual([status, body.toString()], [200, error(words).toString()])
  }
  await assertNoServerError(used)
})

test('the real client prints it, where git-http-backend\'s user reads that the remote end hung up', async (t) => {
  const used = await scene(t)
  for (const version of ['0', '2']) {
    for (const [option, words] of [['--shallow-since=2099-01-01', 'no commits selected for shallow requests'], ['--shallow-exclude=nothing', 'upload-pack: ambiguous deepen-not: deepen-not nothing']] as const) {
      const { code, stderr } = await tryGit(['-c', `protocol.version=${version}`, 'clone', '--quiet', option, `${used.url}/app.git`, join(used.root, `clone-${version}`)])
      assert.equal(code, 128)
      assert.match(stderr, new RegExp(`^fatal: remote error: ${words}$`, 'm'), stderr)
    }
  }
  await assertNoServerError(used)
})

for (const [capabilities, expected] of [
  ['report-status object-format=sha256', /\r\n\r\n[0-9a-f]+\r\n002eunpack unsupported object format 'sha256'\n0000\r\n0\r\n\r\n$/],
  // eslint-disable-next-line no-control-regex
  ['report-status side-band-64k object-format=sha256', /\x01002eunpack unsupported object format 'sha256'\n00000000\r\n0\r\n\r\n$/],
  // eslint-disable-next-line no-control-regex
  ['side-band-64k object-format=sha256', /\x03unsupported object format 'sha256'\n0000\r\n0\r\n\r\n$/]
] as const) {
  test(`a push in another object format is refused in the shape that the client asked for: ${capabilities}`, async (t) => {
    const used = await scene(t)
    const post = await OpenPost.open(used.port, '/app.git', 'receive-pack')
    post.send(packets([`${'0'.repeat(64)} ${'ab'.repeat(32)} refs/heads/x\0 ${capabilities}`, FLUSH]))
    const answer = await post.end()
    assert.match(answer, /^HTTP\/1\.1 200 /)
    assert.match(answer, expected)
    await assertNoServerError(used)
    assert.equal(await git(['for-each-ref', '--format=%(refname)'], { cwd: used.served }), 'refs/heads/main')
  })
}

test('what git dies of otherwise stays a 500, whatever the client has sent', async (t) => {
  const root = await temporaryFolder(t)
  const words = [
    "fatal: unable to read tree (ab)\nfatal: unexpected line: 'x'", "fatal: not a git repository: '/srv'\n",
    'warning: fatal: unknown capability', 'fatal: git upload-pack: aborting due to possible repository corruption on the remote side.'
  ]
  const path = await gitShim(root, 'upload-pack', `cat ${root}/words >&2; exit 128`)
  const served = await makeRepository(root, 'app.git')
  const tip = await git(['rev-parse', 'main'], { cwd: served })
  for (const packs of [{}, false] as const) {
    const { url, log } = await startServer(t, { root, git: { path }, cache: { packs } })
    for (const text of words) {
      await writeFile(join(root, 'words'), text)
      const { status, body } = await postFetch(`${url}/app.git`, fetchV2({ wants: [tip] }))
      assert.deepEqual([status, /srv|unable|corruption/.test(body.toString())], [500, false], text)
    }
    assert.equal(log.filter(({ msg, level }) => msg === 'git request failed' && level === 50).length, words.length)
  }
})
