/** The unit of the README: systemd understands all of it, and its commands do what they are there for. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { COMMAND, runCommand } from '../fixtures/command.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { eventually } from '../fixtures/processes.ts'
import { commitRandom, makeRepository } from '../fixtures/repository.ts'
import { writeScript } from '../fixtures/shims.ts'
import { findProgram, run } from './programs.ts'
import { freePort } from './proxy.ts'
import { readmeBlock, replaceIn } from './readme.ts'

test('systemd finds nothing wrong with the unit', async (t) => {
  const folder = await temporaryFolder(t)
  await writeScript(folder, 'fastify-git-http', 'exit 0')
  const path = join(folder, 'git-http.service')
  await writeFile(path, replaceIn(await readmeBlock('ini'), { '/usr/local/bin/': `${folder}/` }))
  const { code, stdout, stderr } = await run(await findProgram('systemd-analyze', 'systemd'), ['verify', path])
  // An unknown key is a warning only.
  assert.deepEqual({ code, said: stdout + stderr.split('\n').filter((line) => line.includes(path)).join('\n') }, { code: 0, said: '' })
})

test('its commands start the server, replace the workers, and stop it after a push in flight', async (t) => {
  const folder = await temporaryFolder(t)
  const root = join(folder, 'root')
  const repository = await makeRepository(root, 'app.git', { commits: 1 })
  const { stdout: password } = await runCommand(t, ['passwd', 'ann'], { input: 'sesame' })
  await mkdir(join(folder, 'etc'))
  await writeFile(join(folder, 'etc', 'access.ini'), `[users]\n${password}\n`)
  await writeScript(folder, 'fastify-git-http', `exec ${process.execPath} ${COMMAND.join(' ')} "$@"`)
  const port = await freePort()
  const unit = replaceIn(await readmeBlock('ini'), {
    '/usr/local/bin/fastify-git-http': join(folder, 'fastify-git-http'),
    '--root /srv/git': `--root ${root}`,
    '--port 8080': `--port ${port}`,
    '/etc/git-http': join(folder, 'etc'),
    '--metrics-port 9090': '--metrics-port 0'
  })
  const settingOf = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? assert.fail(name)
  // systemd splits a line at its spaces, and has no shell.
  const [program = '', ...args] = settingOf('ExecStart').split(' ')
  const child = spawn(program, args, { cwd: '/', env: { PATH: process.env['PATH'] ?? '', TMPDIR: folder }, stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(child, 'exit')
  t.after(() => child.kill('SIGKILL'))
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => { log += chunk })
  const workers = (): string[] => [...log.matchAll(/"workers":(\[[\d,]+\]),"msg":"workers serve"/g)].map(([, pids]) => pids as string)
  await eventually(async () => workers().length === 1, 30_000, `it serves: ${log}`)
  await eventually(async () => log.includes('metrics are served'), 30_000, 'metrics are served')
  assert.match(await (await fetch(/"url":"([^"]+)"/.exec(log)?.[1] as string)).text(), /^git_http_git_processes_limit [1-9]/m)

  const url = `http://ann:sesame@127.0.0.1:${port}/app.git`
  const copy = join(folder, 'copy')
  await git(['clone', '--quiet', url, copy])
  const reloaded = await run('/bin/sh', ['-c', settingOf('ExecReload')], { env: { MAINPID: String(child.pid) } })
  assert.equal(reloaded.code, 0, reloaded.stderr)
  await eventually(async () => workers().length === 2, 30_000, 'new workers serve')
  assert.notEqual(workers()[0], workers()[1])

  // A push that waits for its hook while the server is told to stop.
  await writeFile(join(repository, 'hooks', 'pre-receive'), `#!/bin/sh\ntouch ${folder}/waits\nwhile [ ! -e ${folder}/go ]; do sleep 0.05; done\n`, { mode: 0o755 })
  const commit = await commitRandom(copy, 'file', 1000)
  const push = tryGit(['push', 'origin', 'HEAD:refs/heads/late'], { cwd: copy })
  await eventually(async () => (await run('/bin/sh', ['-c', `[ -e ${folder}/waits ]`])).code === 0, 20_000, 'the hook runs')
  child.kill('SIGTERM')
  await eventually(async () => log.includes('stopping after the transfers in flight'), 20_000, 'it is stopping')
  await writeFile(join(folder, 'go'), '')
  const { code, stderr } = await push
  assert.equal(code, 0, stderr)
  assert.deepEqual(await ended, [0, null])
  assert.equal(await git(['rev-parse', 'late'], { cwd: repository }), commit)
  // systemd waits longer than the server does.
  assert.ok(Number(settingOf('TimeoutStopSec')) > 75)
})
