import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { PacketReader } from '../../lib/protocol/packet-reader.ts'
import { toBand } from '../../lib/protocol/push-bands.ts'
import { movedRefs, PushReportReader } from '../../lib/protocol/report-reader.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, gitEnvironment } from '../fixtures/git.ts'
import { commitFile } from '../fixtures/repository.ts'
import { bytesOf, type Part } from './fetch-helpers.ts'
import { mutated } from './mutation.ts'
import { FLUSH, headOf, packets, ZERO } from './push-scene.ts'

interface Sent {
  /** What git's client sends. */
  body: Buffer
  /** What it makes of each ref: `ok REF` or `error REF REASON`; text that follows an accepted ref is left out. */
  results: string[]
}

/** git's own client at work, between a server that says `advertised` and then `answer`, and remote-curl, which is told the results. */
function sendPack (copy: string, refs: readonly string[], advertised: Buffer, answer: Buffer, args: readonly string[] = []): Sent {
  const { stdout } = spawnSync('git', ['send-pack', '--stateless-rpc', '--helper-status', ...args, '--stdin', 'http://localhost/app.git'], {
    cwd: copy, env: gitEnvironment(), input: Buffer.concat([packets(...refs, FLUSH), advertised, answer])
  })
  const reader = new PacketReader()
  reader.feed(stdout)
  const body: Buffer[] = []
  for (let packet = reader.next(); packet?.kind === 'data'; packet = reader.next()) body.push(packet.payload)
  // A second flush says that the request is over.
  return { body: Buffer.concat(body), results: reader.rest.toString().replace(/^0000/, '').split('\n').slice(0, -1).map((line) => line.replace(/^(ok \S+) .*/, '$1')) }
}

async function makeCopy (t: TestContext): Promise<{ copy: string, commit: string }> {
  const copy = await temporaryFolder(t)
  await git(['init', '--quiet', copy])
  return { copy, commit: await commitFile(copy, 'readme.txt', 'hello\n') }
}

const REPORTING = ['report-status', 'report-status-v2', 'side-band-64k']

test('whatever git\'s own client is told to push, its head is understood', async (t) => {
  const { copy, commit } = await makeCopy(t)
  const name = fc.stringMatching(/^[a-zé日@{}$!"'-]{1,9}$/u).filter((text) => !text.includes('@{') && !text.startsWith('-'))
  const capabilities = fc.subarray([...REPORTING, 'delete-refs', 'quiet', 'ofs-delta', 'object-format=sha1', 'agent=git/2.54.0', 'session-id=x', 'a-future-one=1'])
  fc.assert(fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 4 }), fc.nat(), fc.subarray(['a', 'b c', 'ü="$(id)"']), fc.boolean(), capabilities, (names, deleted, options, atomic, offered) => {
    const refs = names.map((one) => `refs/heads/${one}`).sort()
    const gone = offered.includes('delete-refs') ? refs.slice(deleted % (refs.length + 1)) : []
    const offers = [...offered, ...(options.length > 0 ? ['push-options'] : []), ...(atomic ? ['atomic'] : [])].join(' ')
    const [first = `${ZERO} capabilities^{}`, ...others] = gone.map((ref) => `${commit} ${ref}`)
    const args = [...(atomic ? ['--atomic'] : []), ...options.map((option) => `--push-option=${option}`)]
    const { body } = sendPack(copy, refs.map((ref) => gone.includes(ref) ? `:${ref}` : `HEAD:${ref}`), packets(`${first}\0${offers}`, ...others, FLUSH), Buffer.alloc(0), args)
    const head = headOf(body)
    assert.deepEqual(new Set(head.commands.map(({ ref, kind, old, new: to }) => [ref, kind, old, to].join(' '))), new Set(refs.map((ref) => gone.includes(ref) ? `${ref} delete ${commit} ${ZERO}` : `${ref} create ${ZERO} ${commit}`)))
    assert.deepEqual(head.options, options)
    assert.equal(head.capabilities.includes('atomic'), atomic)
  }), { numRuns: 40 })
})

const REFS = ['refs/heads/a', 'refs/heads/b', 'refs/heads/ü']
const line = fc.tuple(fc.constantFrom(...REFS), fc.constantFrom('ok', 'ng')).map(([ref, word]) => word === 'ok' ? `ok ${ref}\n` : `ng ${ref} hook declined\n`)
const report = fc.tuple(fc.constantFrom('unpack ok\n', 'unpack eof\n'), fc.array(fc.oneof({ weight: 3, arbitrary: line }, fc.constantFrom('option refname refs/x\n', 'option forced-update\n', 'option to-come x\n')), { minLength: 1, maxLength: 5 }))
  .map(([first, lines]): Part[] => [first, ...lines, FLUSH])

for (const banded of [false, true]) {
  test(`no ref is taken for pushed that git's own client does not take for pushed, ${banded ? 'on' : 'without'} side bands`, async (t) => {
    const { copy, commit } = await makeCopy(t)
    const capabilities = REPORTING.slice(0, banded ? 3 : 2)
    const [first = '', ...others] = REFS.map((ref) => `${commit} ${ref}`)
    const advertised = packets(`${first}\0${capabilities.join(' ')} delete-refs`, ...others, FLUSH)
    const commands = REFS.map((ref) => ({ ref, old: commit, new: ZERO, kind: 'delete' as const }))
    const counts = { read: 0, unread: 0, moved: 0 }
    fc.assert(fc.property(fc.oneof(report.map((parts) => bytesOf(...parts)), mutated(report)), fc.nat(), (bytes, cut) => {
      const at = cut % (bytes.length + 1)
      const answer = banded ? Buffer.concat([toBand(1, bytes.subarray(0, at)), packets('\u0002progress\n'), toBand(1, bytes.subarray(at)), packets(FLUSH)]) : bytes
      const reader = new PushReportReader(capabilities)
      reader.update(answer)
      counts[reader.report === null ? 'unread' : 'read']++
      const ok = commands.filter((command) => movedRefs(reader.report, [command]).length > 0)
      counts.moved += ok.length
      const { results } = sendPack(copy, REFS.map((ref) => `:${ref}`), advertised, answer)
      for (const { ref } of ok) assert.ok(results.includes(`ok ${ref}`), `${ref}, but git: ${results.join('; ')}\n${bytes.toString()}`)
    }), { numRuns: 100, examples: [[packets('unpack ok\n', 'ok refs/heads/a\n', 'ng refs/heads/a\0 hook declined\n', FLUSH), 0], [packets('unpack ok\n', 'ok refs/heads/a ', FLUSH), 0]] })
    assert.ok(counts.read > 20 && counts.unread > 10 && counts.moved > 20, JSON.stringify(counts))
  })
}
