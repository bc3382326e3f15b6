import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PathNames } from '../../lib/protocol/path-names.ts'

const PATHS = ['/srv/git/app.git', '/srv/git']

function split (text: Buffer, lengths: number[], paths = PATHS, name = 'app.git'): string {
  const names = new PathNames(paths, name)
  const passed: Buffer[] = []
  for (let at = 0, i = 0; at < text.length; i++) {
    const length = lengths[i % lengths.length] as number
    passed.push(names.update(text.subarray(at, at + length)))
    at += length
  }
  return Buffer.concat([...passed, names.end()]).toString()
}

for (const [text, expected] of [
  ["Unable to create '/srv/git/app.git/./refs/heads/x.lock': File exists.", "Unable to create 'app.git/./refs/heads/x.lock': File exists."],
  ['/srv/git/app.git', 'app.git'],
  ['/srv/git/app.git.', 'app.git.'],
  ['in /srv/git/app.git and in /srv/git/app.git/objects', 'in app.git and in app.git/objects'],
  ['path=/srv/git/app.git:x', 'path=app.git:x'],
  ['ok refs/heads/srv/git/app.git', 'ok refs/heads/srv/git/app.git'],
  ['refs/heads//srv/git/app.git', 'refs/heads//srv/git/app.git'],
  ['/srv/git/app.git-old', 'app.git/app.git-old'],
  ['/srv/git/app.gitä', 'app.git/app.gitä'],
  ['/srv/gi', '/srv/gi'],
  ['/srv/git', 'app.git'],
  ['/mnt/srv/git/app.git', '/mnt/srv/git/app.git'],
  ['ä/srv/git', 'ä/srv/git'],
  ['', '']
] as const) {
  test(`${JSON.stringify(text)} becomes ${JSON.stringify(expected)}, split at every byte or not at all`, () => {
    const bytes = Buffer.from(text)
    for (let length = 1; length <= bytes.length; length++) assert.equal(split(bytes, [length]), expected)
    assert.equal(new PathNames(PATHS, 'app.git').replace(bytes).toString(), expected)
  })
}

test('signs that mean something to a regular expression are nothing but signs in a path and in a name', () => {
  assert.equal(split(Buffer.from('in /a+(b)[c]$&^/ä.git/x'), [1], ['/a+(b)[c]$&^/ä.git'], "$&$1$'ö"), "in $&$1$'ö/x")
})

test('however a text is split, the same comes out', () => {
  const part = fc.constantFrom('/srv/git/app.git', '/srv/git', '/srv', '/a/a', '/a', 'x', ' ', "'", '-', '.', '\n', 'ä')
  fc.assert(fc.property(fc.array(part), fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (parts, lengths) => {
    const text = Buffer.from(parts.join(''))
    for (const paths of [PATHS, ['/a/a']]) assert.equal(split(text, lengths, paths), new PathNames(paths, 'app.git').replace(text).toString())
  }))
})

test('an ordinary text goes on at once', () => {
  const names = new PathNames(PATHS, 'app.git')
  assert.equal(names.update(Buffer.from('Resolving deltas:  50% (1/2)\r')).toString(), 'Resolving deltas:  50% (1/2)\r')
  assert.equal(names.update(Buffer.from('and /sr')).toString(), 'and ')
})
