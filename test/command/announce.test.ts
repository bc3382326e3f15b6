import assert from 'node:assert/strict'
import { test } from 'node:test'
import { announcement } from '../../lib/command/announce.ts'

const place = { root: '/srv/git', tls: false, host: undefined, port: 8080, prefix: '' }

test('a search that stopped early says so', () => {
  const summary = (names: string[]): string | undefined => announcement(place, { names, complete: false }).split('\n')[1]
  assert.equal(summary(['a', 'b']), 'more than 2 repositories')
  assert.equal(summary(['a']), 'more than 1 repository')
  assert.equal(summary([]), 'no repositories found so far, the folder is large')
})

test('an IPv6 address is bracketed, and quoted for shells that read brackets as a pattern', () => {
  const lines = announcement({ ...place, host: '::1' }, { names: ['app.git'], complete: true }).split('\n')
  assert.deepEqual(lines, ['Serving /srv/git at http://[::1]:8080/', '1 repository', 'git clone \'http://[::1]:8080/app.git\'', ''])
})
