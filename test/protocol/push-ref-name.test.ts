import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import fc from 'fast-check'
import { isRefName } from '../../lib/protocol/push-ref-name.ts'
import { gitEnvironment } from '../fixtures/git.ts'

const good = [
  'refs/heads/main', 'refs/heads/a/b/c', 'refs/x', 'refs/stash', 'a/b', 'refs/heads/ünïcode', 'refs/heads/日本', 'refs/heads/💾', 'refs/heads/@', 'refs/@',
  'refs/heads/a.b', 'refs/heads/a./b', 'refs/heads/-x', 'refs/heads/x{y}', 'refs/heads/a@b', 'refs/heads/a.lockx', 'refs/heads/HEAD',
  'refs/heads/$(id)', 'refs/heads/a;b', 'refs/heads/"q"', 'refs/heads/a\u0085b', 'refs/heads/a\u2028b', 'refs/heads/!', 'refs/heads/%2e%2e'
]
const bad = [
  '', '/', 'main', 'HEAD', '@', 'refs', 'refs/', '/refs/heads/a', 'refs/heads/', 'refs//a', 'refs/heads/../../config', 'refs/heads/a..b', 'refs/heads/.a', 'refs/heads/.',
  'refs/heads/..', 'refs/heads/a.', 'refs/heads/a.lock', 'refs/a.lock/b', 'refs/heads/.lock', 'refs/heads/a b', 'refs/heads/a\tb', 'refs/heads/a\nb', 'refs/heads/a\rb',
  'refs/heads/a\u007fb', 'refs/heads/a\u001bb', 'refs/heads/a~1', 'refs/heads/a^', 'refs/heads/a:b', 'refs/heads/a?', 'refs/heads/a*', 'refs/heads/a[', 'refs/heads/a\\b', 'refs/heads/a@{1}'
]

function gitAccepts (name: string): boolean {
  return spawnSync('git', ['check-ref-format', name], { env: gitEnvironment() }).status === 0
}

test('names that git allows and names that it does not', () => {
  for (const name of good) assert.deepEqual([name, isRefName(name), gitAccepts(name)], [name, true, true])
  for (const name of bad) assert.deepEqual([name, isRefName(name), gitAccepts(name)], [name, false, false])
  assert.equal(isRefName('refs/heads/a\0b'), false)
})

test('git check-ref-format says the same of any name', () => {
  const part = fc.constantFrom('refs', 'heads', '/', '//', '.', '..', '@', '{', '@{', '.lock', 'lock', 'a', 'ü', '-', '~', '^', ':', '?', '*', '[', ']', '\\', ' ', '\t', '\n', '\u007f', '\u0080', '💾')
  const character = fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }).filter((text) => text !== '\0')
  const name = fc.tuple(fc.constantFrom('', 'refs/', 'refs/heads/'), fc.array(fc.oneof({ weight: 4, arbitrary: part }, character), { maxLength: 8 })).map(([start, rest]) => start + rest.join(''))
  fc.assert(fc.property(name, (text) => { assert.equal(isRefName(text), gitAccepts(text)) }), { numRuns: 400 })
})
