import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { parseAccessFile } from '../../lib/access/access-rules.ts'
import { parsePasswordHash, verifyPassword } from '../../lib/access/password.ts'
import { COMMAND, runCommand } from '../fixtures/command.ts'

test('passwd reads one line, whatever follows it', async (t) => {
  const { code, stdout, stderr } = await runCommand(t, ['passwd', 'ann'], { input: 'secret\r\nmore\n' })
  assert.deepEqual([code, stderr], [0, ''])
  const [, hash = ''] = /^ann = (\$scrypt\$\S+)\n$/.exec(stdout) ?? assert.fail(stdout)
  assert.equal(await verifyPassword(parsePasswordHash(hash), 'secret'), true)
})

test('passwd writes names so that the access file reads them', async (t) => {
  for (const name of ['#ann; [x]', ' ann ', '__proto__', 'é@example.org']) {
    const { stdout, stderr } = await runCommand(t, ['passwd', name], { input: 'secret\n' })
    assert.deepEqual([...parseAccessFile(`[users]\n${stdout}`, 'file').users.keys()], [name], stderr)
  }
})

test('passwd refuses names that the access file refuses, before it asks', async (t) => {
  for (const name of ['', 'a:b', 'anonymous', 'a\nb', 'a=b', '"ann"', '\u0007']) {
    const { code, stdout, stderr } = await runCommand(t, ['passwd', name])
    assert.deepEqual([code, stdout], [2, ''], name)
    assert.match(stderr, /^fastify-git-http: not a user name: .+\n$/)
  }
})

test('passwd refuses passwords that no client can send', async (t) => {
  const wrong: Array<[string | Buffer, RegExp]> = [
    ['', /the password is empty/],
    ['\n', /the password is empty/],
    ['a\u0007b\n', /control characters/],
    [Buffer.from([0x61, 0xff, 0x0a]), /nothing but UTF-8/],
    ['x'.repeat(1025), /longer than 1024 bytes/],
    ['x'.repeat(10_000_000), /longer than 1024 bytes/]
  ]
  for (const [input, message] of wrong) {
    const { code, stdout, stderr } = await runCommand(t, ['passwd', 'ann'], { input })
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, message)
  }
})

test('passwd asks twice on a terminal and echoes nothing', { skip: process.platform !== 'linux' && 'script(1) has other options here' }, async (t) => {
  const right = await onTerminal(['secret word\r', 'secret word\r'])
  assert.equal(right.code, 0, right.screen)
  assert.match(right.screen, /^Password: \r\nAgain: \r\nann = \$scrypt\$/)
  assert.doesNotMatch(right.screen, /secret/)
  // Both at once, as a paste brings them; the second with a correction.
  const pasted = await onTerminal(['secret word\rsecrat\x7f\x7ft word\x7f\x7f\x7f\x7f\x7f\x7fet word\r'])
  assert.match(pasted.screen, /ann = \$scrypt\$/)
  const different = await onTerminal(['secret\r', 'Secret\r'])
  assert.deepEqual([different.code, different.screen.includes('fastify-git-http: the two passwords differ')], [1, true], different.screen)
  const interrupted = await onTerminal(['sec\x03'])
  assert.deepEqual([interrupted.code, interrupted.screen.includes('no password given')], [1, true], interrupted.screen)

  /** Runs `passwd ann` on a terminal of its own and types one text after each prompt. */
  async function onTerminal (typed: string[]): Promise<{ code: number, screen: string }> {
    const command = [process.execPath, ...COMMAND, 'passwd', 'ann'].map((word) => `'${word}'`).join(' ')
    const child = spawn('script', ['--quiet', '--return', '--flush', '--command', command, '/dev/null'])
    t.after(() => { child.kill('SIGKILL') })
    let screen = ''
    let prompts = 0
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      screen += chunk
      while (prompts < typed.length && screen.split(': ').length > prompts + 1) child.stdin.write(typed[prompts++] as string)
    })
    const [code] = await once(child, 'close')
    return { code, screen }
  }
})
