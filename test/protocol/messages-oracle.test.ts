import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { cleanProtocol, protocolVersion } from '../../lib/protocol/capabilities.ts'
import { DumbListing } from '../../lib/protocol/dumb-listing.ts'
import { namespacePrefix } from '../../lib/protocol/namespace.ts'
import { isRefName } from '../../lib/protocol/push-ref-name.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, gitEnvironment } from '../fixtures/git.ts'
import { makeRepository } from '../fixtures/repository.ts'

async function makeScene (t: TestContext): Promise<string> {
  return await makeRepository(await temporaryFolder(t), 'app.git', { commits: 2 })
}

function advertisement (path: string, environment: Record<string, string>): string {
  const { status, stdout, stderr } = spawnSync('git', ['upload-pack', '--http-backend-info-refs', path], { env: gitEnvironment(environment) })
  assert.equal(status, 0, stderr.toString())
  return stdout.toString()
}

test('git answers in the version that a forwarded Git-Protocol asks for', async (t) => {
  const path = await makeScene(t)
  const key = fc.constantFrom('version=2', 'version=1', 'version=0', 'version=3', 'version', 'version=', 'version=02', 'versio=2', 'a', 'a=b', 'VERSION=2')
  const seen = new Set<number>()
  fc.assert(fc.property(fc.array(key, { minLength: 1, maxLength: 3 }), (keys) => {
    const protocol = cleanProtocol(keys.join(':')) ?? assert.fail()
    const [first] = /version \d/.exec(advertisement(path, { GIT_PROTOCOL: protocol }).slice(0, 20)) ?? ['version 0']
    const version = protocolVersion(protocol)
    seen.add(version)
    assert.equal(`version ${version}`, first)
  }), { numRuns: 60, examples: [[['version=1', 'version=2']], [['version=2', 'version=1']]] })
  assert.equal(seen.size, 3)
})

test('git lists the refs of a namespace that are below its prefix', async (t) => {
  const path = await makeScene(t)
  const part = fc.stringMatching(/^[a-z0-9ü_-]{1,4}$/)
  await fc.assert(fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 3 }), fc.constantFrom('', '/'), fc.constantFrom('/', '//'), async (parts, start, separator) => {
    const namespace = start + parts.join(separator)
    const ref = `${namespacePrefix(namespace)}refs/heads/inside`
    await git(['update-ref', ref, 'main'], { cwd: path })
    assert.match(advertisement(path, { GIT_NAMESPACE: namespace, GIT_PROTOCOL: 'version=0' }), / refs\/heads\/inside[\0\n]/)
    await git(['update-ref', '-d', ref], { cwd: path })
    assert.doesNotMatch(advertisement(path, { GIT_NAMESPACE: namespace, GIT_PROTOCOL: 'version=0' }), /inside/)
  }), { numRuns: 20 })
})

test('a dumb listing is the file that git update-server-info writes', async (t) => {
  const path = await makeScene(t)
  await git(['tag', '-a', '-m', 'one', 'annotated', 'main'], { cwd: path })
  const leaf = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 }).filter((text) => !text.includes('/') && isRefName(`refs/${text}`))
  const ref = fc.record({ folder: fc.constantFrom('refs/tags/', 'refs/notes/', 'refs/x/y/'), leaf, target: fc.constantFrom('main', 'main~1', 'annotated') })
  await fc.assert(fc.asyncProperty(fc.uniqueArray(ref, { selector: ({ leaf }) => leaf.toLowerCase(), minLength: 1, maxLength: 5 }), async (refs) => {
    const update = async (lines: string[]): Promise<unknown> => await git(['update-ref', '--stdin'], { cwd: path, input: lines.join('') })
    await update(refs.map(({ folder, leaf, target }) => `create ${folder}${leaf} ${target}\n`))
    await git(['update-server-info'], { cwd: path })
    const { stdout } = spawnSync('git', ['show-ref', '--dereference'], { cwd: path, env: gitEnvironment() })
    const listing = await buffer(Readable.from([stdout]).pipe(new DumbListing('')))
    assert.equal(listing.toString(), await readFile(join(path, 'info', 'refs'), 'utf8'))
    await update(refs.map(({ folder, leaf }) => `delete ${folder}${leaf}\n`))
  }), { numRuns: 15 })
})
