import assert from 'node:assert/strict'
import { gunzipSync, gzipSync } from 'node:zlib'
import { discovery, lsRefs, probe } from '../answers/helpers.ts'
import { askHttpBackend, type Answer, type Exchange } from '../fixtures/http-backend.ts'
import { askOurs, comparable, show } from './helpers.ts'

/** What a client may ask about refs. */
export interface Questions {
  /** Questions that need no process once the answer is known, and some that always do. */
  all: Exchange[]
  /** One of each kind: what a change can make stale. */
  few: Exchange[]
}

const HEADS = 'ref-prefix refs/heads/\n'

export function questions (name: string, format?: string): Questions {
  const capabilities = format === undefined ? [] : [`object-format=${format}`]
  const list = (...args: string[]): Exchange => lsRefs(name, args, { capabilities })
  const usual = list('peel\n', 'symrefs\n', 'unborn\n', HEADS, 'ref-prefix refs/tags/\n', 'ref-prefix HEAD\n')
  const few = [discovery(name, 'upload-pack'), discovery(name, 'upload-pack', 'version=2'), discovery(name, 'receive-pack'), usual]
  const protocols = ['version=1', 'version=2:version=1', 'version=1:version=2', 'version=0', 'version=9', 'key=value', 'version=2 x', 'nonsense!']
  return {
    few,
    all: [
      ...few,
      ...protocols.map((protocol) => discovery(name, 'upload-pack', protocol)),
      ...['version=1', 'version=0', 'version=9'].map((protocol) => discovery(name, 'receive-pack', protocol)),
      list(), list('peel'), list('symrefs'), list('unborn'), list('symrefs\n', 'unborn\n'), list('peel\n', 'symrefs\n'),
      list(HEADS, HEADS, 'ref-prefix refs/heads/loose'), list('ref-prefix '), list('ref-prefix HEAD'), list('ref-prefix refs/nothing'),
      list('ref-prefix refs/heads/main\n', 'peel', 'ref-prefix refs/tags/n', 'symrefs'), list('ref-prefix main'),
      lsRefs(name, ['peel'], { capabilities: ['agent=git/9', ...capabilities] }),
      zipped(usual, 'gzip'), zipped(usual, 'x-gzip'),
      { ...usual, headers: { ...usual.headers, 'git-protocol': 'version=2:version=1' } },
      probe(name), probe(name, 'upload-pack')
    ]
  }
}

function zipped (exchange: Exchange, encoding: string): Exchange {
  return { ...exchange, headers: { ...exchange.headers, 'content-encoding': encoding }, body: gzipSync(exchange.body ?? '') }
}

/** Asserts that our answer is git's own, whatever the client lets us compress. */
export async function assertDiscovery (port: number, theirs: Answer, exchange: Exchange, when: string): Promise<void> {
  for (const accepted of [undefined, 'gzip']) {
    const asked = askOurs(port, accepted === undefined ? exchange : { ...exchange, headers: { ...exchange.headers, 'accept-encoding': accepted } })
    const what = `${when}: ${exchange.target} ${JSON.stringify(exchange.headers)} ${String(exchange.body ?? '')}`
    if (theirs.status === 500 || (saysNothing(theirs) && exchange.body !== '0000')) {
      // git-http-backend may have said 200 before git says anything; from us it is an error or an answer that is cut.
      const status = await asked.then((ours) => ours.status, () => Infinity)
      // The probe is answered without asking git, and with nothing.
      assert.ok(status >= 400 || exchange.body === '0000', `${what}: ${status}`)
      continue
    }
    const ours = await asked
    assert.equal(ours.status, theirs.status, what)
    if (ours.status !== 200) continue
    const { 'content-encoding': encoding, vary, ...headers } = ours.headers
    const body = encoding === 'gzip' ? gunzipSync(ours.body) : ours.body
    assert.ok(body.equals(theirs.body), `${what}\nours:   ${show(body)}\ntheirs: ${show(theirs.body)}`)
    assert.deepEqual(comparable(headers), comparable(theirs.headers), what)
    assert.ok(encoding === undefined || accepted === 'gzip')
    assert.equal(vary, encoding === undefined ? undefined : 'Accept-Encoding', what)
  }
}

/** git died of the question, or in the middle of its answer. */
function saysNothing ({ status, body }: Answer): boolean {
  return status === 200 && /^(?:001[ef]# service=[a-z-]+\n0000)?$|(?<!0000)$/.test(body.toString('latin1'))
}

/** The same for many, cold and warm, twice each. */
export async function assertAll (port: number, root: string, exchanges: Exchange[], when: string, env: Record<string, string> = {}): Promise<void> {
  const theirs = await Promise.all(exchanges.map(async (exchange) => await askHttpBackend(root, exchange, env)))
  for (const round of ['cold', 'warm']) {
    for (const [i, exchange] of exchanges.entries()) await assertDiscovery(port, theirs[i] as Answer, exchange, `${when}, ${round}`)
  }
}
