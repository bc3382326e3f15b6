import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FAMILIES, parseTarget } from '../../lib/routes/families.ts'

const A = 'a'.repeat(38)
const B = 'b'.repeat(62)

test('git\'s URLs and what they name', () => {
  const rows: Array<[string, string, string, string]> = [
    ['/app.git/info/refs', 'info-refs', 'app.git', ''],
    ['/info/refs', 'info-refs', '', ''],
    ['/a/b/git-upload-pack', 'rpc', 'a/b', 'upload-pack'],
    ['/a/git-receive-pack', 'rpc', 'a', 'receive-pack'],
    ['/a/git-upload-archive', 'rpc', 'a', 'upload-archive'],
    ['/HEAD', 'head', '', ''],
    ['/a/HEAD', 'head', 'a', ''],
    ['/a/objects/info/packs', 'objects', 'a', 'info/packs'],
    ['/a/objects/info/alternates', 'objects', 'a', 'info/alternates'],
    [`/a/objects/0f/${A}`, 'objects', 'a', `0f/${A}`],
    [`/a/objects/0f/${B}`, 'objects', 'a', `0f/${B}`],
    [`/a/objects/pack/pack-aa${A}.idx`, 'objects', 'a', `pack/pack-aa${A}.idx`],
    [`/a/objects/pack/pack-aa${B}.pack`, 'objects', 'a', `pack/pack-aa${B}.pack`]
  ]
  for (const [path, family, repository, name] of rows) assert.deepEqual(parseTarget(path), { family, repository, name }, path)
})

test('what is close to git\'s URLs stays with the host', () => {
  for (const path of [
    '/', '', '/app.git', '/info', '/refs', '/app/info/refs/', '/app/info/refs/x', '/xinfo/refs', '/a/head', '/aHEAD', '/a/git-upload-pack/x',
    `/a/objects/0F/${A}`, `/a/objects/0f/${A}0`, `/a/objects/pack/pack-aa${A}.keep`, '/a/objects/info/commit-graph', '/a/objects/../config'
  ]) assert.equal(parseTarget(path), null, path)
})

test('any path is told without throwing, and at most one family takes it', () => {
  fc.assert(fc.property(fc.string(), fc.constantFrom('', '/info/refs', '/HEAD', '/git-upload-pack', '/objects/info/packs'), (path, suffix) => {
    const target = parseTarget(`/${path}${suffix}`)
    assert.equal(target !== null, target !== null && FAMILIES.includes(target.family))
    if (suffix !== '') assert.notEqual(target, null)
  }))
})
