import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCommand, shell, startCommand } from '../fixtures/command.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { getRaw } from '../fixtures/raw.ts'
import { commitFile, makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'

test('serves the current folder, and the printed line clones', async (t) => {
  const folder = await temporaryFolder(t)
  const elsewhere = await temporaryFolder(t)
  await makeRepository(folder, 'app.git')
  await makeWorkingCopy(join(folder), 'tool')
  const server = await startCommand(t, [], { cwd: folder })
  assert.deepEqual(server.lines, [
    `Serving ${folder} at http://localhost:${server.port}/`,
    '2 repositories',
    `git clone http://localhost:${server.port}/app.git`
  ])
  const { code, stderr } = await shell(server.clone, elsewhere)
  assert.equal(code, 0, stderr)
  assert.equal(await readFile(join(elsewhere, 'app', 'file-1.txt'), 'utf8'), 'refs/heads/main 1\n')
  await git(['clone', '--quiet', `${server.url}/tool`], { cwd: elsewhere })
  server.child.kill()
  assert.equal((await server.ended).stdout.split('\n').length, 4, 'nothing but the announcement goes to stdout')
})

test('the printed line survives a shell, whatever the repository is called', async (t) => {
  const folder = await temporaryFolder(t)
  const name = 'it\'s $HOME & (more)~*?#%41;é'
  await makeRepository(folder, `${name}.git`)
  const server = await startCommand(t, ['--root', folder])
  const elsewhere = await temporaryFolder(t)
  const { code, stderr } = await shell(server.clone, elsewhere)
  assert.equal(code, 0, stderr)
  assert.equal(await readFile(join(elsewhere, name, 'file-1.txt'), 'utf8'), 'refs/heads/main 1\n')
})

test('root itself may be the repository', async (t) => {
  const folder = await temporaryFolder(t)
  const root = await makeWorkingCopy(folder, '-my app')
  const server = await startCommand(t, ['--root', root])
  assert.deepEqual(server.lines.slice(1), ['1 repository', `git clone ${server.url}/ './-my app'`])
  const elsewhere = await temporaryFolder(t)
  const { code, stderr } = await shell(server.clone, elsewhere)
  assert.equal(code, 0, stderr)
  assert.equal(await readFile(join(elsewhere, '-my app', 'readme.txt'), 'utf8'), 'hello\n')
})

test('an empty folder: the printed lines make a repository and clone it', async (t) => {
  const folder = await temporaryFolder(t)
  const server = await startCommand(t, ['--root', folder])
  const make = /^0 repositories; make one with: (.*)$/.exec(server.lines[1] ?? '')?.[1] ?? assert.fail(server.lines[1])
  assert.equal((await shell(make, '/')).code, 0)
  assert.equal((await shell(server.clone, await temporaryFolder(t))).code, 0)
})

test('--prefix and --host', async (t) => {
  const folder = await temporaryFolder(t)
  await makeRepository(folder, 'team/app.git')
  const server = await startCommand(t, ['--root', folder, '--prefix', '/deep/git/', '--host', '127.0.0.1'])
  assert.equal(server.clone, `git clone http://127.0.0.1:${server.port}/deep/git/team/app.git`)
  assert.equal((await shell(server.clone, await temporaryFolder(t))).code, 0)
  const { status, headers } = await getRaw(server.port, '/')
  assert.deepEqual([status, headers['content-type']], [404, 'text/plain; charset=utf-8'])
})

test('a push is refused, and with --allow-push accepted, with a warning when others can connect', async (t) => {
  const folder = await temporaryFolder(t)
  const bare = await makeRepository(folder, 'app.git')
  const copy = join(await temporaryFolder(t), 'app')
  await git(['clone', '--quiet', bare, copy])
  const id = await commitFile(copy, 'new.txt', 'new\n')

  const closed = await startCommand(t, ['--root', folder])
  const refused = await tryGit(['push', `${closed.url}/app.git`, 'HEAD:main'], { cwd: copy })
  assert.equal(refused.code, 128, refused.stderr)
  assert.match(refused.stderr, /403|not enabled|may not/)
  assert.doesNotMatch(closed.log(), /allow-push/)

  const local = await startCommand(t, ['--root', folder, '--allow-push', '--host', '127.0.0.1'])
  await git(['push', '--quiet', `${local.url}/app.git`, 'HEAD:main'], { cwd: copy })
  assert.equal(await git(['rev-parse', 'main'], { cwd: bare }), id)
  assert.doesNotMatch(local.log(), /--allow-push/)

  const open = await startCommand(t, ['--root', folder, '--allow-push'])
  await open.logged('--allow-push: whoever reaches port')
})

test('an access file with a line of passwd: everybody reads, its user writes', async (t) => {
  const folder = await temporaryFolder(t)
  await makeRepository(folder, 'app.git')
  const { stdout: line } = await runCommand(t, ['passwd', 'ann'], { input: 'correct horse: ünïcode\n' })
  const accessFile = join(await temporaryFolder(t), 'access.ini')
  await writeFile(accessFile, `[users]\n${line}[access]\nanonymous = *=r\nann = app=rw\n`)
  const server = await startCommand(t, ['--root', folder, '--access-file', accessFile, '--realm', 'the shop'])
  const copy = join(await temporaryFolder(t), 'app')
  await git(['clone', '--quiet', `${server.url}/app.git`, copy])
  await commitFile(copy, 'new.txt', 'new\n')

  const push = (login: string): ReturnType<typeof tryGit> =>
    tryGit(['push', `http://${login}localhost:${server.port}/app.git`, 'HEAD:main'], { cwd: copy })
  assert.equal((await push('')).code, 128)
  assert.equal((await push('ann:wrong@')).code, 128)
  const accepted = await push(`ann:${encodeURIComponent('correct horse: ünïcode')}@`)
  assert.equal(accepted.code, 0, accepted.stderr)
  const { headers } = await getRaw(server.port, '/app.git/info/refs?service=git-receive-pack')
  assert.equal(headers['www-authenticate'], 'Basic realm="the shop", charset="UTF-8"')
})

test('--trust-proxy: the address is the one that the proxy saw', async (t) => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'empty'))
  const forwarded = ['X-Forwarded-For: 203.0.113.1, 203.0.113.2']
  const trusting = await startCommand(t, ['--root', folder, '--trust-proxy', '--host', '127.0.0.1'])
  await getRaw(trusting.port, '/', forwarded)
  await trusting.logged('"remoteAddress":"203.0.113.2"')
  const other = await startCommand(t, ['--root', folder, '--host', '127.0.0.1'])
  await getRaw(other.port, '/', forwarded)
  await other.logged('"remoteAddress":"127.0.0.1"')
})
