import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCommand } from '../fixtures/command.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { selfSigned } from '../fixtures/certificate.ts'

test('a wrong command line: one line, exit code 2', async (t) => {
  const wrong: Array<[string[], RegExp]> = [
    [['--nonsense'], /Unknown option '--nonsense'/],
    [['folder'], /unexpected argument 'folder'/],
    [['--port', 'http'], /--port must be a number from 0 to 65535, not 'http'/],
    [['--port', '65536'], /--port must be/],
    [['--port'], /'--port <value>' argument missing/],
    [['--port', '--root', '.'], /'--port <value>' argument is ambiguous|'--port' argument is ambiguous/],
    [['--root', ''], /--root is empty/],
    [['--allow-push=no'], /'--allow-push' does not take an argument/],
    [['--log-level', 'loud'], /--log-level must be one of .*, not 'loud'/],
    [['--prefix', 'git'], /--prefix must be a path/],
    [['--prefix', '/:repository'], /--prefix must be a path/],
    [['--realm', 'a "b"'], /--realm must be printable ASCII/],
    [['--tls-key', 'key.pem'], /--tls-cert and --tls-key belong together/],
    [['passwd'], /passwd takes one name/],
    [['passwd', 'ann', 'bob'], /passwd takes one name/],
    [['passwd', 'ann', '--root', '.'], /passwd takes one name/]
  ]
  for (const [args, message] of wrong) await fails(runCommand(t, args), 2, message)
})

test('a wrong surrounding: one line, exit code 1', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'file')
  await writeFile(file, 'text\n')
  const { cert, key } = selfSigned()
  await writeFile(join(folder, 'cert.pem'), cert)
  await writeFile(join(folder, 'key.pem'), key)
  await writeFile(join(folder, 'other.pem'), selfSigned().key)
  const tls = (certificate: string, privateKey: string): string[] => ['--tls-cert', join(folder, certificate), '--tls-key', join(folder, privateKey)]
  const wrong: Array<[string[], RegExp]> = [
    [['--root', join(folder, 'missing')], /--root: .*missing does not exist/],
    [['--root', file], /--root: .*file is not a folder/],
    [['--access-file', join(folder, 'missing')], /--access-file: .*missing: .*no such file/],
    [['--access-file', file], /--access-file: .*file:1: neither a section nor name = value/],
    [tls('missing', 'key.pem'), /--tls-cert: .*missing does not exist/],
    [tls('cert.pem', 'missing'), /--tls-key: .*missing does not exist/],
    [tls('file', 'key.pem'), /--tls-cert and --tls-key cannot be used together/],
    [tls('cert.pem', 'other.pem'), /--tls-cert and --tls-key cannot be used together: .*mismatch/],
    [['--host', '192.0.2.1'], /--host: 192\.0\.2\.1 is no address of this machine/]
  ]
  for (const [args, message] of wrong) await fails(runCommand(t, ['--port', '0', ...args], { cwd: folder }), 1, message)
})

test('a port in use', async (t) => {
  const other = createServer().listen(0)
  t.after(() => { other.close() })
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  await fails(runCommand(t, ['--port', String(port)], { cwd: await temporaryFolder(t) }), 1, new RegExp(`port ${port} is in use`))
})

test('no git, an old git, a broken git', async (t) => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'bin'))
  const run = (): ReturnType<typeof runCommand> => runCommand(t, ['--port', '0'], { cwd: folder, env: { PATH: join(folder, 'bin') } })
  await fails(run(), 1, /git was not found or does not run: install git 2\.39 or newer/)
  for (const [version, message] of [['git version 2.38.9', /git 2\.38\.9 is too old: install git 2\.39/], ['', /git does not tell its version/]] as const) {
    await writeFile(join(folder, 'bin', 'git'), `#!/bin/sh\necho ${version}\n`)
    await chmod(join(folder, 'bin', 'git'), 0o755)
    await fails(run(), 1, message)
  }
})

test('--help and --version', async (t) => {
  const help = await runCommand(t, ['--help'])
  assert.deepEqual([help.code, help.stderr], [0, ''])
  const options = ['root', 'port', 'host', 'prefix', 'access-file', 'realm', 'allow-push', 'tls-cert', 'tls-key', 'trust-proxy', 'log-level', 'help', 'version']
  for (const option of options) assert.match(help.stdout, new RegExp(`^ {2}--${option}\\b`, 'm'))
  assert.match(help.stdout, /--port PORT .*\(default: 8080\)/)
  assert.match(help.stdout, /fastify-git-http passwd NAME/)
  const { version } = JSON.parse(await readFile(new URL(import.meta.resolve('fastify-git-http/package.json')), 'utf8'))
  assert.deepEqual(await runCommand(t, ['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
})

async function fails (running: ReturnType<typeof runCommand>, exitCode: number, message: RegExp): Promise<void> {
  const { code, stdout, stderr } = await running
  assert.match(stderr, message)
  assert.deepEqual([code, stdout], [exitCode, ''], stderr)
  assert.match(stderr, /^fastify-git-http: [^\n]+\n$/, 'one line')
}
