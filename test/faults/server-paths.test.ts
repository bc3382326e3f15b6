/** What git tells a pusher about trouble in the repository holds the repository's public name, not its path on the server. */
import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { GitHttpOptions } from '../../lib/index.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { commitFile, makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServer, type TestServer } from '../fixtures/server.ts'
import { pushBody, postPush } from '../fixtures/raw-push.ts'

interface Scene extends TestServer { root: string, served: string, work: string }

async function scene (t: TestContext, options: GitHttpOptions = {}): Promise<Scene> {
  const root = await temporaryFolder(t)
  await mkdir(join(root, 'team'))
  const served = await makeRepository(root, 'team/app.git')
  const work = await makeWorkingCopy(await temporaryFolder(t), 'work')
  return { root, served, work, ...await startServer(t, { root, publicWrite: true, ...options }) }
}

async function push ({ url, work, root }: Scene, ...refs: string[]): Promise<string> {
  const { stdout, stderr } = await tryGit(['push', '--porcelain', `${url}/team/app.git`, ...refs], { cwd: work })
  assert.ok(!stderr.includes(root) && !stdout.includes(root), `${stdout}${stderr}`)
  return stdout + stderr
}

test('a stale lock of a ref', async (t) => {
  const used = await scene(t)
  await writeFile(join(used.served, 'refs/heads/locked.lock'), 'mine')
  const said = await push(used, 'main:refs/heads/locked', 'main:refs/heads/free')
  assert.match(said, /^remote: error: cannot lock ref 'refs\/heads\/locked': Unable to create 'team\/app\.git\/\.\/refs\/heads\/locked\.lock': File exists\.\s*$/m)
  assert.match(said, /^remote: remove the file manually to continue\.\s*$/m)
  assert.match(said, /refs\/heads\/locked\t\[remote rejected\] \(failed to update ref\)/)
  assert.equal(await readFile(join(used.served, 'refs/heads/locked.lock'), 'utf8'), 'mine')
})

test('a stale lock of all refs', async (t) => {
  const used = await scene(t)
  await push(used, 'main:refs/heads/old')
  await git(['pack-refs', '--all'], { cwd: used.served })
  await writeFile(join(used.served, 'packed-refs.lock'), 'mine')
  assert.match(await push(used, ':refs/heads/old'), /^remote: error: .*'team\/app\.git\/\.\/packed-refs\.lock'/m)
})

for (const hooks of [{}, { preReceive: () => {} }] as const) {
  test(`hooks at an absolute path in the repository that fail in their own words (${'preReceive' in hooks ? 'with' : 'without'} a hook of the host)`, async (t) => {
    const used = await scene(t, { hooks })
    const folder = join(used.served, 'own hooks')
    await mkdir(folder)
    await git(['config', 'core.hooksPath', folder], { cwd: used.served })
    await writeFile(join(folder, 'pre-receive'), `#!/bin/sh\necho "see ${used.served}/doc and $0 for refs/heads${used.served}"\nprintf '%s' ${used.served}\nexit 1\n`)
    await chmod(join(folder, 'pre-receive'), 0o755)
    const { stderr } = await tryGit(['push', `${used.url}/team/app.git`, 'main:refs/heads/new'], { cwd: used.work })
    assert.ok(stderr.replaceAll(`refs/heads${used.served}`, '').includes('see team/app.git/doc and team/app.git/own hooks/pre-receive for '), stderr)
    assert.match(stderr, /^remote: team\/app\.git\s*$/m, 'what was held back came at the end')
    assert.ok(stderr.includes(`refs/heads${used.served}`), 'the name of a ref is not a path')
  })

  test(`core.hooksPath that points nowhere (${'preReceive' in hooks ? 'with' : 'without'} a hook of the host)`, async (t) => {
    const used = await scene(t, { hooks })
    await git(['config', 'core.hooksPath', join(used.served, 'nowhere')], { cwd: used.served })
    assert.match(await push(used, 'main:refs/heads/new'), /refs\/heads\/new\t\[new branch\]/)
    await mkdir(join(used.served, 'nowhere'))
    await writeFile(join(used.served, 'nowhere/pre-receive'), `#!${used.served}/no-shell\n`)
    await chmod(join(used.served, 'nowhere/pre-receive'), 0o755)
    await commitFile(used.work, 'more', 'more')
    assert.match(await push(used, 'main:refs/heads/newer'), /refs\/heads\/newer\t\[remote rejected\]/)
  })
}

test('a ref whose name holds the path is reported under its name', async (t) => {
  const used = await scene(t)
  const ref = `refs/heads${used.served}`
  const { code, stderr } = await tryGit(['push', `${used.url}/team/app.git`, `main:${ref}`], { cwd: used.work })
  assert.equal(code, 0, stderr)
  assert.equal(await git(['rev-parse', ref], { cwd: used.served }), await git(['rev-parse', 'main'], { cwd: used.work }))
})

test('a client without side bands, and a host whose resolve knows the repository by another name', async (t) => {
  const root = await temporaryFolder(t)
  const served = await makeRepository(root, 'f00.git')
  const work = await makeWorkingCopy(await temporaryFolder(t), 'work')
  const { port } = await startServer(t, { resolve: () => served, publicWrite: true })
  await writeFile(join(served, 'refs/heads/x.lock'), 'mine')
  for (const capabilities of ['report-status', 'report-status side-band-64k', 'side-band-64k', '']) {
    const { head, pack } = await pushBody(work, await git(['rev-parse', 'HEAD'], { cwd: work }), { commands: [{ ref: 'refs/heads/x' }], capabilities })
    const answer = await postPush(port, Buffer.concat([head, pack]), { target: '/shown' })
    assert.match(answer, /^HTTP\/1\.1 200 /)
    assert.ok(!answer.includes(root), answer)
    if (capabilities.includes('side-band')) assert.match(answer, /Unable to create 'shown\/\.\/refs\/heads\/x\.lock'/)
  }
})
