/** Programs that a repository's config and folders name. With `trustConfig: false` none of them runs, whatever is asked. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { appendFile, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { deflateSync } from 'node:zlib'
import type { GitHttpHooks } from '../../lib/index.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { commitFile, history, makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { writeScript } from '../fixtures/shims.ts'
import { makeStage, packet, post, SECRET, send, serve, ZERO } from './helpers.ts'

/** All paths absolute. `program` leaves a trace and succeeds. */
interface Planting {
  /** The bare `planted.git`. */
  bare: string
  /** A working copy `copy`, whose main is checked out. */
  copy: string
  folder: string
  program: string
  /** Adds to the config of both. */
  configure (text: string): Promise<void>
}

const HOOKS = ['pre-receive', 'update', 'post-receive', 'post-update', 'proc-receive', 'reference-transaction', 'push-to-checkout', 'post-index-change', 'pre-auto-gc']

/** `runs`: it does when the config is trusted, so that the row proves something; where it does not, git itself already protects. */
const ROWS: Array<{ what: string, runs: boolean, hooks?: GitHttpHooks, plant: (planting: Planting) => Promise<unknown> }> = [
  {
    what: 'the hooks folder',
    runs: true,
    plant: async ({ bare, copy, program }) => { for (const name of HOOKS) await Promise.all([bare, join(copy, '.git')].map(async (path) => await writeScript(join(path, 'hooks'), name, `exec ${program}`))) }
  },
  {
    what: 'core.hooksPath',
    runs: true,
    plant: async ({ folder, program, configure }) => {
      await mkdir(join(folder, 'hooks'))
      for (const name of HOOKS) await writeScript(join(folder, 'hooks'), name, `exec ${program}`)
      await configure(`[core]\n\thooksPath = ${folder}/hooks\n`)
    }
  },
  {
    what: 'a hook in the config',
    runs: false,
    plant: async ({ program, configure }) => { for (const name of HOOKS) await configure(`[hook "my-${name}"]\n\tevent = ${name}\n\tcommand = ${program}\n`) }
  },
  {
    what: 'receive.procReceiveRefs',
    runs: true,
    plant: async ({ bare, program, configure }) => {
      await writeScript(join(bare, 'hooks'), 'proc-receive', `exec ${program}`)
      await configure('[receive]\n\tprocReceiveRefs = refs\n')
    }
  },
  {
    what: 'core.alternateRefsCommand',
    runs: true,
    plant: async ({ bare, program, configure }) => {
      const lender = await makeRepository(join(bare, '..'), 'lender.git')
      await writeFile(join(bare, 'objects/info/alternates'), `${lender}/objects\n`)
      await configure(`[core]\n\talternateRefsCommand = ${program}\n`)
    }
  },
  {
    what: 'core.fsmonitor',
    runs: true,
    plant: async ({ program, configure }) => { await configure(`[core]\n\tfsmonitor = ${program}\n[receive]\n\tdenyCurrentBranch = updateInstead\n`) }
  },
  {
    what: 'a filter',
    runs: true,
    plant: async ({ copy, program, configure }) => {
      await writeFile(join(copy, '.git/info/attributes'), '* filter=x diff=x merge=x\n')
      await configure(`[filter "x"]\n\tsmudge = ${program}\n\tclean = ${program}\n\tprocess = ${program}\n[diff "x"]\n\tcommand = ${program}\n\ttextconv = ${program}\n[merge "x"]\n\tdriver = ${program}\n[diff]\n\texternal = ${program}\n[receive]\n\tdenyCurrentBranch = updateInstead\n`)
    }
  },
  {
    what: 'gpg.program and its kin',
    runs: true,
    // git looks at the certificate when there is a hook to tell.
    hooks: { preReceive: () => {} },
    plant: async ({ program, configure }) => {
      await configure(`[receive]\n\tcertNonceSeed = x\n[gpg]\n\tprogram = ${program}\n[gpg "openpgp"]\n\tprogram = ${program}\n[gpg "ssh"]\n\tprogram = ${program}\n\tdefaultKeyCommand = ${program}\n[gpg "x509"]\n\tprogram = ${program}\n`)
    }
  },
  {
    what: 'maintenance',
    runs: true,
    plant: async ({ bare, copy, program, configure }) => {
      for (const path of [bare, join(copy, '.git')]) {
        await writeScript(join(path, 'hooks'), 'pre-auto-gc', `exec ${program}`)
        await git(['repack', '-adq'], { cwd: path })
      }
      await configure(`[receive]\n\tunpackLimit = 1\n[gc]\n\tautoPackLimit = 1\n\tautoDetach = false\n\trecentObjectsHook = ${program}\n`)
    }
  },
  {
    what: 'uploadpack.packObjectsHook',
    runs: false,
    plant: async ({ program, configure }) => { await configure(`[uploadpack]\n\tpackObjectsHook = ${program}\n`) }
  },
  {
    what: 'pagers, editors, aliases, credential helpers',
    runs: false,
    plant: async ({ program, configure }) => {
      await configure(`[core]\n\tpager = ${program}\n\teditor = ${program}\n\taskPass = ${program}\n[pager]\n\tconfig = true\n[credential]\n\thelper = ${program}\n` +
        `[alias]\n\tupload-pack = !${program}\n\treceive-pack = !${program}\n\tshow-ref = !${program}\n\tconfig = !${program}\n[trace2]\n\teventTarget = ${program}\n`)
    }
  },
  {
    what: 'the remote of a partial clone',
    runs: true,
    plant: async ({ program, configure }) => {
      await configure(`[core]\n\trepositoryFormatVersion = 1\n\tsshCommand = ${program}\n\tgitProxy = ${program}\n[extensions]\n\tpartialClone = origin\n[protocol]\n\tallow = always\n[protocol "ext"]\n\tallow = always\n` +
        `[remote "origin"]\n\turl = ext::${program}\n\tpromisor = true\n\tuploadpack = ${program}\n\tvcs = ext\n`)
    }
  }
]

for (const { what, runs, hooks, plant } of ROWS) {
  test(`${what}: nothing runs when the config is not trusted`, async (t) => {
    assert.deepEqual(await whatRan(t, plant, { trustConfig: false, hooks }), [])
  })
  test(`${what}: ${runs ? 'runs' : 'git does not let it run'} when the config is trusted`, async (t) => {
    assert.equal((await whatRan(t, plant, { trustConfig: true, hooks })).length > 0, runs)
  })
}

test('without trust in the config everything else works: clone, push, hooks of the host, and forks tell what they have', async (t) => {
  const stage = await makeStage(t)
  const lender = await makeRepository(stage.root, 'lender.git', { commits: 0 })
  await git(['fast-import', '--quiet'], { cwd: lender, input: history('refs/heads/lent', 2, 'lent') })
  await writeFile(join(stage.root, 'app.git/objects/info/alternates'), `${lender}/objects\n`)
  const heard: string[] = []
  const hooks: GitHttpHooks = { preReceive: () => { heard.push('pre') }, postReceive: () => { heard.push('post') } }
  const { url, port } = await serve(t, stage, { trustConfig: false, publicWrite: true, hooks })
  const clone = join(stage.folder, 'clone')
  await git(['clone', '--quiet', `${url}/app.git`, clone])
  await commitFile(clone, 'new.txt', 'new\n')
  await git(['push', '--quiet', 'origin', 'HEAD:main'], { cwd: clone })
  assert.deepEqual(heard, ['pre', 'post'])
  const advertised = await send(port, 'GET', '/git/app.git/info/refs?service=git-receive-pack')
  assert.ok(advertised.text.includes(`${await git(['rev-parse', 'lent'], { cwd: lender })} .have`), advertised.text)
})

for (const trustConfig of [true, false]) {
  test(`the file that receive.fsck.skipList names is ${trustConfig ? 'shown' : 'not shown'} to the pusher`, async (t) => {
    const stage = await makeStage(t)
    await git(['config', 'receive.fsck.skipList', join(stage.outside, 'secret.txt')], { cwd: join(stage.root, 'app.git') })
    const { url } = await serve(t, stage, { trustConfig, publicWrite: true, git: {} })
    const work = await makeWorkingCopy(stage.folder, 'work')
    const { code, stderr } = await tryGit(['push', `${url}/app.git`, 'main:refs/heads/x'], { cwd: work })
    assert.equal(code, 1)
    assert.equal(stderr.includes(SECRET), trustConfig, stderr)
    if (!trustConfig) assert.match(stderr, /receive\.fsck\.skipList is not trusted/)
  })
}

/** Asks for everything that a server has, and answers the traces of the planted programs. */
async function whatRan (t: TestContext, plant: (planting: Planting) => Promise<unknown>, { trustConfig, hooks }: { trustConfig: boolean, hooks?: GitHttpHooks | undefined }): Promise<string[]> {
  const stage = await makeStage(t)
  const traces = join(stage.folder, 'ran')
  await mkdir(traces)
  const program = await writeScript(stage.folder, 'program', `echo "$0 $*" > ${traces}/$$; exit 0`)
  const bare = await makeRepository(stage.root, 'planted.git', { commits: 0 })
  await git(['fast-import', '--quiet'], { cwd: bare, input: history('refs/heads/main', 3) })
  const copy = await makeWorkingCopy(stage.root, 'copy')
  const work = await makeWorkingCopy(stage.folder, 'work')
  const configure = async (text: string): Promise<void> => { for (const path of [bare, join(copy, '.git')]) await appendFile(join(path, 'config'), text) }
  await git(['fetch', '--quiet', copy, 'main'], { cwd: work })
  await git(['reset', '--quiet', '--hard', 'FETCH_HEAD'], { cwd: work })
  await commitFile(work, 'new.txt', 'new\n')
  await plant({ bare, copy, folder: stage.folder, program, configure })
  const { port, url } = await serve(t, stage, { trustConfig, hooks, publicWrite: true, git: {}, services: { uploadArchive: trustConfig } })
  for (const name of ['planted.git', 'copy']) {
    await tryGit(['clone', '--quiet', `${url}/${name}`, join(stage.folder, `clone-${name}`)])
    await tryGit(['push', '--quiet', `${url}/${name}`, 'main:refs/heads/topic'], { cwd: work })
    await tryGit(['push', '--quiet', `${url}/${name}`, 'main'], { cwd: work })
    await post(port, `/git/${name}/git-receive-pack`, certificate(await git(['rev-parse', 'main'], { cwd: work })))
    const missing = 'ab'.repeat(20)
    await post(port, `/git/${name}/git-upload-pack`, Buffer.concat([packet('command=fetch'), Buffer.from('0001'), packet(`want ${missing}\n`), packet('done\n'), Buffer.from('0000')]), ['Git-Protocol: version=2'])
    await post(port, `/git/${name}/git-receive-pack`, Buffer.concat([packet(`${ZERO} ${missing} refs/heads/missing\0 report-status`), Buffer.from('0000'), THIN_PACK]))
    for (const suffix of ['info/refs', 'HEAD', 'objects/info/packs']) await send(port, 'GET', `/git/${name}/${suffix}`)
    await post(port, `/git/${name}/git-upload-archive`, Buffer.concat([packet('argument HEAD'), packet('argument --format=tar'), Buffer.from('0000')]))
  }
  return await readdir(traces)
}

/** A pack without objects, and its checksum. */
const EMPTY_PACK = Buffer.from('5041434b0000000200000000029d08823bd8a8eab510ad6ac75c823cfd3ed31e', 'hex')

/** One object, a delta to one that is not there (gitformat-pack(5)): of 1 byte, another one. */
const THIN_PACK = ((): Buffer => {
  const delta = Buffer.from([1, 1, 1, 0x78])
  const bytes = Buffer.concat([Buffer.from('PACK'), Buffer.from([0, 0, 0, 2, 0, 0, 0, 1, 7 << 4 | delta.length]), Buffer.alloc(20, 0xab), deflateSync(delta)])
  return Buffer.concat([bytes, createHash('sha1').update(bytes).digest()])
})()

/** A signed push that is signed by nobody. */
function certificate (id: string): Buffer {
  const lines = ['certificate version 0.1', 'pusher x <x@example.org> 1700000000 +0000', 'nonce x', '', `${ZERO} ${id} refs/heads/signed`,
    '-----BEGIN PGP SIGNATURE-----', '', 'iQEzBAABCAAdFiEE', '-----END PGP SIGNATURE-----']
  return Buffer.concat([packet('push-cert\0 report-status\n'), ...lines.map((line) => packet(`${line}\n`)), packet('push-cert-end\n'), Buffer.from('0000'), EMPTY_PACK])
}
