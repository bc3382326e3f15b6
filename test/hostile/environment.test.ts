/** What reaches git's environment, the repository's hooks, the reflog and the log: nothing that a client or the server's shell wrote there. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { git } from '../fixtures/git.ts'
import { makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import type { GitHttpOptions } from '../../lib/index.ts'
import { assertAlive, assertDiscreet, basic, makeStage, parseEnvironment, post, pushBody, send, serve, type Stage } from './helpers.ts'

/** Values of Git-Protocol, each a list of header lines; `passed` is GIT_PROTOCOL in git's environment. */
const PROTOCOLS: Array<{ values: string[], passed: string | undefined, why: string }> = [
  { values: ['version=2'], passed: 'version=2', why: 'what clients send' },
  { values: ['version=1'], passed: 'version=1', why: 'the older one' },
  { values: ['version=2:agent'], passed: 'version=2:agent', why: 'a list' },
  { values: ['version=99'], passed: 'version=99', why: 'git decides what it does not know' },
  { values: ['version=2:x=y:z'], passed: 'version=2:x=y:z', why: 'keys and values' },
  { values: [`${'k'.repeat(256)}`], passed: 'k'.repeat(256), why: 'as long as allowed' },
  { values: [''], passed: undefined, why: 'empty' },
  { values: ['version=2 '.repeat(2)], passed: undefined, why: 'a space' },
  { values: ['$(touch x)'], passed: undefined, why: 'what a shell would run' },
  { values: ['`id`'], passed: undefined, why: 'the same in another spelling' },
  { values: ['version=2;id'], passed: undefined, why: 'a semicolon' },
  { values: ['version=2\tx'], passed: undefined, why: 'a tab' },
  { values: ['version=2,version=1'], passed: undefined, why: 'a comma' },
  { values: ['version=2', 'version=1'], passed: undefined, why: 'two headers' },
  { values: ['version=2', 'version=2'], passed: undefined, why: 'the same header twice' },
  { values: ['version=2:'], passed: undefined, why: 'a colon at the end' },
  { values: [':version=2'], passed: undefined, why: 'a colon in front' },
  { values: ['version=2::x'], passed: undefined, why: 'an empty key' },
  { values: ['=2'], passed: undefined, why: 'a value without a key' },
  { values: ['version==2'], passed: undefined, why: 'two equals signs' },
  { values: ['../../x'], passed: undefined, why: 'a path' },
  { values: ['version=\xff'], passed: undefined, why: 'a byte that is no ASCII' },
  { values: ['k'.repeat(300)], passed: undefined, why: '300 characters' }
]

test('Git-Protocol reaches git only in its grammar', async (t) => {
  const stage = await makeStage(t)
  const server = await serve(t, stage, { cache: { answers: false } })
  for (const { values, passed, why } of PROTOCOLS) {
    await t.test(`${values.join(' | ').slice(0, 30)}: ${why}`, async () => {
      const headers = values.map((value) => `Git-Protocol: ${value}`)
      await stage.forget()
      assert.equal((await send(server.port, 'GET', '/git/app.git/info/refs?service=git-upload-pack', headers)).status, 200)
      assert.equal((await post(server.port, '/git/app.git/git-upload-pack', '00000000', headers)).status, 200)
      // Those that serve the request; the others read the repository's config.
      const environments = (await stage.environments()).filter((environment) => 'REMOTE_ADDR' in environment)
      assert.deepEqual(environments.map((environment) => environment['GIT_PROTOCOL']), [passed, passed])
    })
  }
})

/** Set in the server's own environment; each would change what git does. */
const POISON = (stage: Stage): Record<string, string> => ({
  GIT_DIR: join(stage.outside, 'secret.git'),
  GIT_COMMON_DIR: join(stage.outside, 'secret.git'),
  GIT_WORK_TREE: stage.outside,
  GIT_NAMESPACE: 'hidden',
  GIT_OBJECT_DIRECTORY: join(stage.outside, 'secret.git/objects'),
  GIT_ALTERNATE_OBJECT_DIRECTORIES: join(stage.outside, 'secret.git/objects'),
  GIT_CONFIG_COUNT: '1',
  GIT_CONFIG_KEY_0: 'uploadpack.hideRefs',
  GIT_CONFIG_VALUE_0: 'refs',
  GIT_CONFIG_PARAMETERS: "'uploadpack.hiderefs'='refs'",
  GIT_CONFIG_GLOBAL: join(stage.folder, 'poison.config'),
  GIT_CONFIG_SYSTEM: join(stage.folder, 'poison.config'),
  GIT_EXEC_PATH: stage.outside,
  GIT_TRACE: join(stage.folder, 'poison.trace'),
  GIT_TRACE_PACKET: '1',
  GIT_TRACE2: '1',
  GIT_PROTOCOL: 'version=1',
  GIT_COMMITTER_NAME: 'Poison',
  GIT_SSH_COMMAND: 'false',
  GIT_ASKPASS: 'false',
  REMOTE_USER: 'admin',
  REMOTE_ADDR: '10.0.0.1',
  QUERY_STRING: 'service=git-receive-pack',
  LD_PRELOAD: join(stage.folder, 'poison.so'),
  LD_LIBRARY_PATH: stage.outside,
  DYLD_INSERT_LIBRARIES: join(stage.folder, 'poison.so'),
  BASH_ENV: join(stage.folder, 'poison.sh'),
  ENV: join(stage.folder, 'poison.sh'),
  PERL5OPT: '-Mpoison',
  NODE_OPTIONS: '--no-warnings',
  DATABASE_URL: 'postgres://user:hush@db'
})
/** All that a git of an anonymous request may have; `LC_*` besides, and what the shell of the test's own script adds. */
const EXPECTED = ['GIT_COMMITTER_EMAIL', 'GIT_COMMITTER_NAME', 'GNUPGHOME', 'HOME', 'LANG', 'PATH', 'REMOTE_ADDR', 'TMPDIR', 'TZ', 'XDG_CONFIG_HOME']
const OF_THE_SHELL = ['PWD', 'OLDPWD', 'SHLVL', '_']

test('the server\'s environment does not steer git', async (t) => {
  const stage = await makeStage(t)
  const poison = POISON(stage)
  await writeFile(join(stage.folder, 'poison.config'), '[http]\n\tuploadpack = false\n')
  poisonProcess(t, poison)
  const server = await serve(t, stage)
  await assertAlive(server)
  const head = await send(server.port, 'GET', '/git/app.git/HEAD')
  assert.equal(head.body.toString(), 'ref: refs/heads/main\n')
  assertDiscreet(stage, head, 'HEAD')
  assert.equal((await send(server.port, 'GET', '/git/app.git/info/refs')).status, 200)
  const environments = await stage.environments()
  assert.ok(environments.length >= 3)
  for (const environment of environments) {
    for (const [name, value] of Object.entries(poison)) assert.notEqual(environment[name], value, name)
    // GIT_EDITOR is how git is asked for the name of its system file. Node itself hands NODE_V8_COVERAGE to every child while coverage is measured.
    const known = [...EXPECTED, ...OF_THE_SHELL, 'GIT_EDITOR', 'NODE_V8_COVERAGE']
    const extra = Object.keys(environment).filter((name) => !known.includes(name) && !name.startsWith('LC_'))
    assert.deepEqual(extra, [])
  }
  const served = environments.find((environment) => 'REMOTE_ADDR' in environment)
  assert.equal(served?.['REMOTE_ADDR'], '127.0.0.1')
  assert.equal(served?.['GIT_COMMITTER_NAME'], 'anonymous')
})

/** Names that pass `authorize` or `authenticate`, with what the hooks of the repository learn. */
const USERS: Array<{ user: string, name: string, why: string }> = [
  { user: 'eve', name: 'eve', why: 'an ordinary name' },
  { user: 'eve\nGIT_DIR=/', name: 'eve?GIT_DIR=/', why: 'a newline: another variable, another line of a log' },
  { user: 'eve\r\nX: y', name: 'eve??X: y', why: 'a header' },
  { user: 'eve\x1b[31m', name: 'eve?[31m', why: 'an escape sequence of terminals' },
  { user: 'eve\u009b31m', name: 'eve?31m', why: 'the same in one C1 character' },
  { user: 'eve\x00admin', name: 'eve?admin', why: 'a NUL, which ends a variable' },
  { user: 'eve\x7f', name: 'eve?', why: 'DEL' },
  { user: 'Jürgen 日本', name: 'Jürgen 日本', why: 'letters of any language' }
]

for (const { user, name, why } of USERS) {
  test(`authorize names ${JSON.stringify(user)}: ${why}`, async (t) => {
    const { stage, environment, options } = await withHooks(t)
    const server = await serve(t, stage, { ...options, authorize: () => ({ allow: true, user }) })
    const body = await pushBody(await makeWorkingCopy(stage.folder, 'source'), 'refs/heads/new')
    const response = await post(server.port, '/git/app.git/git-receive-pack', body)
    assert.match(response.body.toString(), /ok refs\/heads\/new/, response.text)
    const seen = await environment()
    assert.equal(seen['REMOTE_USER'], name)
    assert.equal(seen['GIT_COMMITTER_NAME'], name)
    assert.equal(seen['GIT_COMMITTER_EMAIL'], `${name}@http.127.0.0.1`)
    assert.equal(seen['GIT_DIR'], '.', 'as git sets it for hooks')
    const reflog = await readFile(join(stage.root, 'app.git/logs/refs/heads/new'), 'utf8')
    assert.equal(reflog.trimEnd().split('\n').length, 1)
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(reflog.trimEnd(), /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/)
    if (user !== name) assert.ok(!server.log.some((line) => Object.values(line).includes(user)), 'not in the log as it is')
    assertDiscreet(stage, response, user)
  })
}

for (const { user, name, why } of USERS) {
  if (user === name) continue
  test(`${JSON.stringify(user)} is no user name, by Basic credentials or from authenticate: ${why}`, async (t) => {
    const stage = await makeStage(t)
    const accepting = await serve(t, stage, { authenticate: ({ username }) => username })
    const renaming = await serve(t, stage, { authenticate: () => user })
    for (const [server, header] of [[accepting, basic(user, 'p')], [renaming, basic('eve', 'p')]] as const) {
      const response = await send(server.port, 'GET', '/git/app.git/info/refs?service=git-receive-pack', [header])
      assert.equal(response.status, 401, response.text)
      assert.ok(!JSON.stringify(server.log).includes(JSON.stringify(user).slice(1, -1)))
    }
    assert.deepEqual(await stage.started(), [])
  })
}

function poisonProcess (t: TestContext, poison: Record<string, string>): void {
  const before = Object.keys(poison).map((name) => [name, process.env[name]] as const)
  Object.assign(process.env, poison)
  t.after(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  })
}

/** An `app.git` with a reflog and a hook that writes down its environment. */
async function withHooks (t: TestContext): Promise<{ stage: Stage, options: GitHttpOptions, environment: () => Promise<Record<string, string>> }> {
  const stage = await makeStage(t)
  const app = await makeRepository(stage.root, 'app.git', { commits: 0 })
  await git(['config', 'core.logAllRefUpdates', 'true'], { cwd: app })
  const file = join(stage.folder, 'hook-environment')
  await writeFile(join(app, 'hooks/post-receive'), `#!/bin/sh\nenv -0 > '${file}'\n`, { mode: 0o755 })
  return { stage, options: { git: { path: 'git' } }, environment: async () => parseEnvironment(await readFile(file, 'utf8')) }
}
