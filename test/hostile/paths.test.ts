/**
 * URLs that try to leave root, to name what is no repository, or to name one repository in two ways. For each: 400
 * or 404, no git is started, nothing outside of root is read, and the server goes on.
 */
import assert from 'node:assert/strict'
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { assertAlive, assertDiscreet, contentType, looseName, makeStage, sealed, send, serve, type Stage } from './helpers.ts'

const OBJECT = `objects/ab/${'cd'.repeat(19)}`
/** Every family, with what it answers to a method that is not its own. */
const FAMILIES: Array<{ suffix: string, methods: string[] }> = [
  { suffix: 'info/refs', methods: ['GET', 'HEAD'] },
  { suffix: 'info/refs?service=git-upload-pack', methods: ['GET', 'HEAD'] },
  { suffix: 'info/refs?service=git-receive-pack', methods: ['GET', 'HEAD'] },
  { suffix: 'git-upload-pack', methods: ['POST'] },
  { suffix: 'git-receive-pack', methods: ['POST'] },
  { suffix: 'git-upload-archive', methods: ['POST'] },
  { suffix: 'HEAD', methods: ['GET', 'HEAD'] },
  { suffix: 'objects/info/packs', methods: ['GET', 'HEAD'] },
  { suffix: OBJECT, methods: ['GET', 'HEAD'] }
]

/** What stands between the prefix and the family, as it is sent. Where `planted` is given, such a repository exists. */
const NAMES: Array<{ name: string, why: string, planted?: string }> = [
  { name: '/..', why: 'the folder above root' },
  { name: '/../outside/secret.git', why: 'a repository beside root' },
  { name: '/../../outside/secret.git', why: 'above the prefix as well' },
  { name: '/app.git/../../outside/secret.git', why: 'down and up again' },
  { name: '/a/../app.git', why: 'a detour within root: one repository, one name' },
  { name: '/..%2foutside%2fsecret.git', why: 'an encoded slash' },
  { name: '/..%2Foutside%2Fsecret.git', why: 'the same in upper case' },
  { name: '/%2e%2e/outside/secret.git', why: 'encoded dots' },
  { name: '/%2E%2E%2Foutside%2Fsecret.git', why: 'everything encoded' },
  { name: '/.%2e/outside/secret.git', why: 'one dot encoded' },
  { name: '/%252e%252e/outside/secret.git', why: 'encoded twice: never decoded a second time' },
  { name: '/..%252foutside%252fsecret.git', why: 'a slash encoded twice' },
  { name: '/%c0%ae%c0%ae/outside/secret.git', why: 'an overlong dot' },
  { name: '/%ff.git', why: 'a byte that is not UTF-8' },
  { name: '/%', why: 'half an escape' },
  { name: '/app.git%00', why: 'NUL ends a C string' },
  { name: '/app.git%00.png', why: 'NUL before another ending' },
  { name: '/%00', why: 'nothing but NUL' },
  { name: '/app.git%0d%0aX-Injected:%201', why: 'a header in the name' },
  { name: '/app.git%0a', why: 'a newline at the end' },
  { name: '/app%09.git', why: 'a tab', planted: 'app\t.git' },
  { name: '/app%7f.git', why: 'DEL', planted: 'app\x7f.git' },
  { name: '/..%5coutside%5csecret.git', why: 'backslashes', planted: '..\\outside\\secret.git' },
  { name: '/..\\outside\\secret.git', why: 'backslashes as they are' },
  { name: '//app.git', why: 'an empty name in front' },
  { name: '/%2fapp.git', why: 'an absolute path, or an empty name in front' },
  { name: '/team//nested.git', why: 'an empty name within', planted: 'team/nested.git' },
  { name: '/app.git/', why: 'an empty name at the end' },
  { name: '/./app.git', why: 'a dot' },
  { name: '/%2e/app.git', why: 'an encoded dot' },
  { name: '/app.git/.', why: 'a dot at the end' },
  { name: '/app.git.', why: 'a dot that some file systems drop', planted: 'app.git.' },
  { name: '/app.git%20', why: 'a space that some file systems drop', planted: 'app.git ' },
  { name: '/app.git%20%20.', why: 'both' },
  { name: '/...', why: 'dots only', planted: '...' },
  { name: '/-x.git', why: 'an option to git', planted: '-x.git' },
  { name: '/team/--upload-pack=x.git', why: 'an option further down', planted: 'team/--upload-pack=x.git' },
  { name: `/${'n'.repeat(4096)}`, why: '4 KiB in one name' },
  { name: `/${'n'.repeat(256)}.git`, why: 'a name longer than any file may have' },
  { name: `${'/nn'.repeat(1400)}`, why: '4 KiB in many names' },
  { name: '/clone/.git', why: 'the folder within a working copy: an alias of `clone`' },
  { name: '/clone/.GIT', why: 'the same where file names ignore case', planted: 'clone/.GIT' },
  { name: '/clone/.git/refs', why: 'below it' },
  { name: '/.git', why: 'root as a working copy' },
  { name: '/app.git/.git', why: 'a working copy that is not there' },
  { name: '/app.git/.git/config', why: 'its configuration' },
  { name: '/app.git/refs', why: 'a folder of a repository' },
  { name: '/app.git/refs/remotes/origin', why: 'a ref named HEAD is not the family HEAD' },
  { name: '/app.git/logs', why: 'a reflog named HEAD is not the family HEAD' },
  { name: '/app.git/config', why: 'a file of a repository' },
  { name: '/app.git/objects/..', why: 'up from objects' },
  { name: '/app.git/objects/info', why: 'a folder of objects' },
  { name: '/../trace', why: 'a folder beside root that is no repository' },
  { name: '/%c0%af..%c0%afoutside', why: 'an overlong slash' },
  { name: '/%e0%80%af', why: 'a longer overlong slash' },
  { name: '/%c1%9c', why: 'an overlong backslash' },
  { name: '/%ed%a0%80.git', why: 'half a surrogate pair' },
  { name: '/%80', why: 'a continuation without its start' },
  { name: '/%zz', why: 'an escape that is none' },
  { name: '/app.git%0', why: 'half an escape at the end' },
  { name: '/%u002e%u002e/outside/secret.git', why: 'escapes of another time' },
  { name: '/%ef%bc%8e%ef%bc%8e/outside/secret.git', why: 'full-width dots, which some file systems normalise' },
  { name: '/..;/outside/secret.git', why: 'a path parameter' },
  { name: '/app.git;x=1', why: 'a path parameter behind the name' },
  { name: '/..%00/outside/secret.git', why: 'NUL behind the dots' },
  { name: '/%2e%00%2e/outside/secret.git', why: 'NUL between the dots' },
  { name: '/%2e%2e%5coutside%5csecret.git', why: 'encoded dots and backslashes' },
  { name: '/app.git%2f%2e%2e%2f%2e%2e%2foutside%2fsecret.git', why: 'down and up again, all of it encoded' },
  { name: '/app.git%3fservice=git-receive-pack', why: 'a question mark that is part of the name' },
  { name: '/app.git%23', why: 'a number sign that is part of the name' },
  { name: '/app.git%85', why: 'a newline of another alphabet, not UTF-8' },
  { name: '/C:/outside/secret.git', why: 'a drive' },
  { name: '/app.git::$DATA', why: 'another stream of the same file, elsewhere' },
  { name: '/GIT~1', why: 'a short name of .git, elsewhere' },
  { name: '/ext::sh%20-c%20id', why: 'a remote helper of git' },
  { name: '/file:%2f%2f%2fetc', why: 'a URL' },
  { name: '/--exec=id', why: 'an option further on' },
  { name: '/app.git/info/refs', why: 'a family within the name' },
  { name: '/app.git/HEAD', why: 'another one' },
  { name: '/app.git/git-upload-pack', why: 'a service within the name' },
  { name: '/app.git/modules/sub', why: 'where submodules are', planted: 'app.git/modules/sub' },
  { name: '/clone/.git/modules/sub', why: 'where those of a working copy are', planted: 'clone/.git/modules/sub' },
  { name: '/~root', why: 'somebody\'s home' },
  { name: '/~', why: 'the server\'s home' },
  { name: '/$HOME', why: 'no shell expands it' },
  { name: '/nothing-here', why: 'an ordinary missing repository, to compare with' }
]

/** Complete targets that end like none of the families: these are not ours, whoever else may be there. */
const FILES = [
  { target: '/git/app.git/config', why: 'credentials may be in it' },
  { target: '/git/app.git/.git/config', why: 'the file of a working copy' },
  { target: '/git/clone/.git/config', why: 'the file of a working copy that is there' },
  { target: '/git/app.git/objects/../config', why: 'through objects' },
  { target: '/git/app.git/objects/..%2fconfig', why: 'through objects, encoded' },
  { target: '/git/app.git/objects/info/..%2f..%2fconfig', why: 'through objects/info' },
  { target: '/git/app.git/objects/pack/..%2f..%2fconfig', why: 'through objects/pack' },
  { target: '/git/app.git/objects/pack/pack-..%2f..%2f..%2fconfig', why: 'behind the start of a pack\'s name' },
  { target: '/git/app.git/packed-refs', why: 'refs are told by info/refs only' },
  { target: '/git/app.git/refs/heads/main', why: 'a single ref' },
  { target: '/git/app.git/hooks/update', why: 'a program' },
  { target: '/git/app.git/objects/info/commit-graph', why: 'a file that dumb clients never ask for' },
  { target: `/git/app.git/objects/AB/${'CD'.repeat(19)}`, why: 'object names are lower case' },
  { target: `/git/app.git/objects/ab/${'cd'.repeat(18)}`, why: 'too short for SHA-1' },
  { target: `/git/app.git/objects/ab/${'cd'.repeat(25)}`, why: 'between SHA-1 and SHA-256' },
  { target: `/git/app.git/objects/pack/pack-${'AB'.repeat(20)}.pack`, why: 'pack names are lower case' },
  { target: `/git/app.git/objects/pack/pack-${'ab'.repeat(20)}.keep`, why: 'neither pack nor index' },
  { target: '/git/app.git%2fHEAD', why: 'the slash before the family is encoded' },
  { target: '/git/app.git/%48EAD', why: 'the family is encoded' },
  { target: '/git/app.git/HEAD/', why: 'a slash behind the family' },
  { target: '/git/app.git/HEAD%00', why: 'NUL behind the family' },
  { target: '/git/app.git/head', why: 'families are case-sensitive' },
  { target: '/git/app.git/info/refs;x', why: 'something behind the family' },
  { target: '/git/app.git#/HEAD', why: 'a family in the fragment, which is no part of the path' },
  { target: '/git/app.git/config#/HEAD', why: 'a file before the fragment' },
  { target: '/git#/HEAD', why: 'the prefix before the fragment' },
  { target: '/git/../outside/secret.txt', why: 'the neighbour' },
  { target: '/git/..%2f..%2f..%2f..%2f..%2fetc/passwd', why: 'the classic' }
]

test('no name leads out of root or has a second spelling', async (t) => {
  const stage = await prepared(t)
  // The tip of the secret repository: a traversal would find it.
  const secretObject = `objects/${await looseName(join(stage.outside, 'secret.git'), 'main')}`
  const server = await serve(t, stage, { publicWrite: true })
  const untouched = await sealed(stage.outside)
  for (const { name, why } of NAMES) {
    const shown = name.length > 60 ? `${name.slice(0, 20)}... (${name.length} characters)` : name
    await t.test(`${shown}: ${why}`, async () => {
      const before = await stage.started()
      for (const { suffix, methods } of [...FAMILIES, { suffix: secretObject, methods: ['GET', 'HEAD'] }]) {
        for (const method of ['GET', 'HEAD', 'POST']) {
          const target = `/git${name}/${suffix}`
          const response = await send(server.port, method, target, method === 'POST' ? [contentType(target)] : [], method === 'POST' ? '0000' : '')
          const expected = methods.includes(method) ? [400, 404] : [400, 404, 405]
          assert.ok(expected.includes(response.status), `${method} ${target.slice(0, 200)}: ${response.text.slice(0, 400)}`)
          assert.equal(response.headers['x-injected'], undefined)
          assertDiscreet(stage, response, `${method} ${target}`)
        }
      }
      assert.deepEqual(await stage.started(), before)
      await untouched()
      await assertAlive(server)
    })
  }
})

test('what is no git URL belongs to the host', async (t) => {
  const stage = await prepared(t)
  const server = await serve(t, stage)
  for (const { target, why } of FILES) {
    await t.test(`${target}: ${why}`, async () => {
      for (const method of ['GET', 'HEAD', 'POST']) {
        const response = await send(server.port, method, target)
        assert.ok([400, 404].includes(response.status), `${method}: ${response.text.slice(0, 400)}`)
        assertDiscreet(stage, response, `${method} ${target}`)
      }
      assert.deepEqual(await stage.started(), [])
    })
  }
  await assertAlive(server)
})

/** A stage with a working copy `clone`, and a good repository at every planted name, so that only the name can be the reason. */
async function prepared (t: TestContext): Promise<Stage> {
  const stage = await makeStage(t)
  await makeWorkingCopy(stage.root, 'clone')
  for (const { planted } of NAMES) {
    if (planted === undefined) continue
    const path = join(stage.root, planted)
    await mkdir(join(path, '..'), { recursive: true })
    await rename(await makeRepository(stage.folder, 'planted.git'), path)
  }
  return stage
}
