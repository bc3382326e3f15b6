import assert from 'node:assert/strict'
import { cp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, tryGit } from '../fixtures/git.ts'
import { commitFile, makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'
import { askOurs, assertSame, fetchRequest, packet } from './helpers.ts'
import { makeEveryKind } from './repositories.ts'

test('discovery, dumb listings and HEAD are git-http-backend\'s, byte for byte, for every kind of repository', async (t) => {
  const root = await temporaryFolder(t)
  const names = await makeEveryKind(root)
  const { port } = await startServer(t, { root })
  for (const name of names) {
    for (const protocol of [undefined, 'version=1', 'version=2', 'version=2:version=1', 'version=9']) {
      const headers: Record<string, string> = protocol === undefined ? {} : { 'git-protocol': protocol }
      for (const service of ['git-upload-pack', 'git-receive-pack', 'git-nonsense', '']) {
        if (service === 'git-receive-pack' && protocol?.includes('version=2') === true) continue
        await assertSame(port, root, { target: `/${name}/info/refs?service=${service}`, headers })
      }
    }
    for (const file of ['info/refs', 'HEAD', 'objects/info/packs', 'objects/info/http-alternates']) {
      await assertSame(port, root, { target: `/${name}/${file}` })
      await assertSame(port, root, { target: `/${name}/${file}`, method: 'HEAD' })
    }
    await assertSame(port, root, { target: `/${name}/HEAD`, method: 'POST' })
    await assertSame(port, root, { target: `/${name}/git-upload-pack` })
  }
})

test('receive-pack has no v2: its advertisement keeps the service line, which git-http-backend leaves out', async (t) => {
  const root = await temporaryFolder(t)
  await makeEveryKind(root)
  const { port } = await startServer(t, { root })
  const target = '/pushable.git/info/refs?service=git-receive-pack'
  const asked = await askOurs(port, { target, headers: { 'git-protocol': 'version=2' } })
  assert.deepEqual(asked.body, (await askOurs(port, { target })).body)
  assert.ok(asked.body.toString().startsWith('001f# service=git-receive-pack\n0000'))
})

test('every object, pack and index file is git-http-backend\'s', async (t) => {
  const root = await temporaryFolder(t)
  await makeEveryKind(root)
  const { port } = await startServer(t, { root })
  let compared = 0
  for (const name of ['plain.git', 'packed.git', 'sha256.git', 'closed.git']) {
    for (const file of await readdir(join(root, name, 'objects'), { recursive: true })) {
      if (!/^(?:[0-9a-f]{2}\/[0-9a-f]+|pack\/pack-.*\.(?:pack|idx))$/.test(file)) continue
      await assertSame(port, root, { target: `/${name}/objects/${file}` })
      compared++
    }
  }
  assert.ok(compared > 40, String(compared))
  for (const file of [`${'0'.repeat(2)}/${'0'.repeat(38)}`, `pack/pack-${'0'.repeat(40)}.pack`]) {
    assert.equal((await assertSame(port, root, { target: `/plain.git/objects/${file}` })).status, 404)
  }
})

test('fetches: v0, v1 and v2, clones and negotiations, plain and gzipped', async (t) => {
  const root = await temporaryFolder(t)
  await makeEveryKind(root)
  const { port } = await startServer(t, { root })
  for (const name of ['plain.git', 'tags.git', 'packed.git', 'hidden.git', 'detached.git', 'sha256.git', 'alternates.git']) {
    const tip = await git(['rev-parse', 'main'], { cwd: join(root, name) })
    const before = await git(['rev-parse', 'main~1'], { cwd: join(root, name) })
    const format = tip.length === 64 ? packet('object-format=sha256') : ''
    const v2 = {
      listing: packet('command=ls-refs') + format + '0001' + packet('peel\n') + packet('symrefs\n') + packet('unborn\n') + packet('ref-prefix refs/heads/\n') + packet('ref-prefix HEAD\n') + '0000',
      clone: packet('command=fetch') + format + '0001' + packet('no-progress') + packet(`want ${tip}\n`) + packet('done\n') + '0000',
      shallow: packet('command=fetch') + format + '0001' + packet('no-progress') + packet('deepen 1') + packet(`want ${tip}\n`) + packet('done\n') + '0000',
      update: packet('command=fetch') + format + '0001' + packet('no-progress') + packet('thin-pack') + packet('ofs-delta') + packet(`want ${tip}\n`) + packet(`have ${before}\n`) + packet('done\n') + '0000',
      negotiation: packet('command=fetch') + format + '0001' + packet('no-progress') + packet(`want ${tip}\n`) + packet(`have ${before}\n`) + '0000',
      unknown: packet('command=fetch') + format + '0001' + packet(`want ${'1'.repeat(tip.length)}\n`) + packet('done\n') + '0000'
    }
    for (const body of Object.values(v2)) {
      await assertSame(port, root, { target: `/${name}/git-upload-pack`, ...fetchRequest(body, 'version=2') })
    }
    const capabilities = ` side-band-64k no-progress${tip.length === 64 ? ' object-format=sha256' : ''}`
    const v0 = packet(`want ${tip}${capabilities}\n`) + '0000' + packet('done\n')
    const raw = packet(`want ${tip}${tip.length === 64 ? ' object-format=sha256' : ''}\n`) + '0000' + packet(`have ${before}\n`) + packet('done\n')
    for (const body of [v0, raw]) {
      for (const protocol of [undefined, 'version=1']) {
        await assertSame(port, root, { target: `/${name}/git-upload-pack`, ...fetchRequest(body, protocol) })
      }
    }
    const zipped = fetchRequest(v2.clone, 'version=2')
    await assertSame(port, root, { target: `/${name}/git-upload-pack`, ...zipped, headers: { ...zipped.headers, 'content-encoding': 'gzip' }, body: gzipSync(v2.clone) })
  }
})

test('a push gets the same report, and leaves the same refs', async (t) => {
  const folder = await temporaryFolder(t)
  const [ours, theirs] = [join(folder, 'ours'), join(folder, 'theirs')]
  await makeRepository(ours, 'app.git', { commits: 0 })
  await git(['config', 'http.receivepack', 'true'], { cwd: join(ours, 'app.git') })
  await cp(ours, theirs, { recursive: true })
  const work = await makeWorkingCopy(folder, 'work')
  const id = await commitFile(work, 'two.txt', 'two\n')
  const { bytes: pack } = await tryGit(['pack-objects', '--revs', '--stdout', '-q'], { cwd: work, input: `${id}\n` })
  const { port } = await startServer(t, { root: ours })
  const none = '0'.repeat(40)
  const commands: Array<[string, Buffer]> = [
    [`${none} ${id} refs/heads/main`, pack],
    [`${none} ${id} refs/heads/main`, pack],
    [`${id} ${none} refs/heads/main`, Buffer.alloc(0)],
    [`${id} ${none} refs/heads/absent`, Buffer.alloc(0)]
  ]
  for (const [command, data] of commands) {
    const body = Buffer.concat([Buffer.from(packet(`${command}\0report-status side-band-64k quiet\n`) + '0000'), data])
    const exchange = { method: 'POST' as const, target: '/app.git/git-receive-pack', headers: { 'content-type': 'application/x-git-receive-pack-request' }, body }
    await assertSame(port, theirs, exchange)
    assert.equal(await git(['for-each-ref'], { cwd: join(ours, 'app.git') }), await git(['for-each-ref'], { cwd: join(theirs, 'app.git') }))
  }
  const headers = { 'content-type': 'application/x-git-receive-pack-request' }
  const probe = await assertSame(port, theirs, { method: 'POST', target: '/app.git/git-receive-pack', headers, body: '0000' })
  assert.equal(probe.body.length, 0)
})
