import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { HookRecords } from '../../lib/push/hook-records.ts'
import { OWN_HOOKS, SHIM } from '../../lib/push/shim.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { writeScript } from '../fixtures/shims.ts'

/** Whatever stands behind /bin/sh somewhere, as far as this machine has it. */
const SHELLS = [['/bin/sh'], ['dash'], ['bash', '--posix'], ['bash'], ['busybox', 'sh'], ['ksh'], ['mksh'], ['yash'], ['zsh', '--emulate', 'sh']]
const shells = SHELLS.filter(([file = '', ...args]) => spawnSync(file, [...args, '-c', ':']).status === 0)

for (const [file = '', ...args] of shells) {
  test(`the shim under ${[file, ...args].join(' ')}`, async (t) => {
    const folder = await temporaryFolder(t)
    const shim = join(folder, 'pre-receive')
    await writeFile(shim, SHIM)
    const hooks = join(folder, 'own hooks')
    await mkdir(hooks)
    await writeScript(hooks, 'pre-receive', `cat; printf '<%s>' "$GIT_CONFIG_PARAMETERS" "$${OWN_HOOKS}" "$@"; exit 7`)
    const options = ['a\nb\\n%s $(id) `id` "\'', '', 'ä€\u0001']
    const child = spawn(file, [...args, shim], {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'] ?? '',
        [OWN_HOOKS]: hooks,
        GIT_CONFIG_PARAMETERS: `'a.b'='c' 'core.hooksPath'='${folder}' 'd.e'='it'\\''s'`,
        GIT_DIR: '.',
        GIT_PUSH_CERT_SIGNER: '',
        GIT_PUSH_OPTION_COUNT: String(options.length),
        ...Object.fromEntries(options.map((option, i) => [`GIT_PUSH_OPTION_${i}`, option]))
      }
    })
    const channel = child.stdio[3] as Duplex
    const records = new HookRecords()
    const heard: unknown[] = []
    channel.on('data', (chunk: Buffer) => {
      for (const record of records.push(chunk)) {
        heard.push(record)
        if (record.hook === 'pre-receive') channel.write('m  text \\n %s $(id) `id`\nm\nmmore\ny\n')
      }
    })
    child.stdin.end(`${'x'.repeat(50_000)} 1 refs/heads/a b\n2 3 refs/heads/ä\n`)
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
    assert.equal(stderr, '  text \\n %s $(id) `id`\n\nmore\n')
    assert.deepEqual(heard[0], {
      hook: 'pre-receive',
      environment: { GIT_DIR: '.', GIT_PUSH_CERT_SIGNER: '', GIT_PUSH_OPTION_COUNT: '3', GIT_PUSH_OPTION_0: options[0], GIT_PUSH_OPTION_1: '', GIT_PUSH_OPTION_2: options[2] },
      commands: [{ old: 'x'.repeat(50_000), new: '1', ref: 'refs/heads/a b' }, { old: '2', new: '3', ref: 'refs/heads/ä' }]
    })
    assert.deepEqual(heard.slice(1), [{ hook: 'begin', name: 'pre-receive', pid: child.pid }, { hook: 'end' }])
    assert.equal(stdout, `${'x'.repeat(50_000)} 1 refs/heads/a b\n2 3 refs/heads/ä\n<'a.b'='c' 'd.e'='it'\\''s'><>`)
    assert.equal(code, 7)
  })
}
