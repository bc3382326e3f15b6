import assert from 'node:assert/strict'
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync, type Dir } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openGitDirectory, type GitDirectory } from '../../lib/repository/git-directory.ts'
import { createReadRefs, type ReadRefs } from '../../lib/repository/refs.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { makeRepository } from '../fixtures/repository.ts'
import { freezeStats, intercept, nextTick, stopClocks } from '../fixtures/simulated.ts'

interface Scene {
  folder: string
  path: string
  repository: GitDirectory
  readRefs: ReadRefs
}

async function makeScene (t: TestContext): Promise<Scene> {
  const folder = await temporaryFolder(t)
  const path = await makeRepository(folder, 'app.git', { commits: 3 })
  await git(['branch', 'team/topic', 'main~1'], { cwd: path })
  return { folder, path, repository: await opened(path), readRefs: createReadRefs() }
}

async function opened (path: string): Promise<GitDirectory> {
  return await openGitDirectory(path, null) ?? assert.fail(`${path} is no repository`)
}

test('one state until somebody changes something, then another', async (t) => {
  const { path, repository, readRefs } = await makeScene(t)
  const cwd = path
  const [tip, before] = [await git(['rev-parse', 'main'], { cwd }), await git(['rev-parse', 'main~1'], { cwd })]
  const changes: Record<string, () => unknown> = {
    'a ref moves': async () => await git(['update-ref', 'refs/heads/main', before], { cwd }),
    'a ref is written in place': () => writeFileSync(join(path, 'refs/heads/main'), `${tip}\n`),
    'a ref in a folder moves': async () => await git(['update-ref', 'refs/heads/team/topic', tip], { cwd }),
    'a ref in a new folder': async () => await git(['update-ref', 'refs/heads/new/folder/ref', tip], { cwd }),
    'that ref moves': async () => await git(['update-ref', 'refs/heads/new/folder/ref', before], { cwd }),
    'refs are packed': async () => await git(['pack-refs', '--all'], { cwd }),
    'a packed ref moves': async () => await git(['update-ref', 'refs/heads/team/topic', before], { cwd }),
    'a packed ref is deleted': async () => await git(['update-ref', '-d', 'refs/heads/new/folder/ref'], { cwd }),
    'packed-refs alone is written': async () => await git(['pack-refs', '--all'], { cwd }).then(() => renameSync(join(path, 'packed-refs'), join(path, 'packed'))),
    'and comes back': () => renameSync(join(path, 'packed'), join(path, 'packed-refs')),
    'HEAD is another branch': async () => await git(['symbolic-ref', 'HEAD', 'refs/heads/team/topic'], { cwd }),
    'HEAD is detached': async () => await git(['update-ref', '--no-deref', 'HEAD', tip], { cwd }),
    'a tag': async () => await git(['tag', '-a', '-m', 'one', 'v1', tip], { cwd }),
    shallow: () => writeFileSync(join(path, 'shallow'), `${before}\n`),
    'no longer': () => rmSync(join(path, 'shallow')),
    'a lender': () => writeFileSync(join(path, 'objects/info/alternates'), `${path}/objects\n`),
    'refs of another repository': async () => {
      renameSync(join(path, 'refs'), join(path, 'sfer'))
      mkdirSync(join(path, 'refs/heads'), { recursive: true })
      renameSync(join(path, 'sfer'), join(path, 'refs/heads/sfer'))
    }
  }
  let state = await readRefs(repository)
  assert.deepEqual([state.provable, state.alternates], [true, false])
  for (const [what, change] of Object.entries(changes)) {
    assert.equal(await readRefs(repository), state, `before ${what}`)
    await change()
    const next = await readRefs(repository)
    assert.notEqual(next, state, what)
    assert.equal(next.alternates, what === 'a lender' || what === 'refs of another repository')
    state = next
  }
})

test('a ref that changes twice in one tick of the clock shows', async (t) => {
  const { path, repository, readRefs } = await makeScene(t)
  const file = join(path, 'refs/heads/team/topic')
  const tip = await git(['rev-parse', 'main'], { cwd: path })
  stopClocks(t)
  freezeStats(t, file)
  const state = await readRefs(repository)
  writeFileSync(file, `${tip}\n`)
  assert.notEqual(await readRefs(repository), state)
})

/** Calls `act` each time that the names of `folder` have been read. */
function afterReading (t: TestContext, folder: string, act: () => void): void {
  intercept(t, 'opendirSync', (original, asked) => {
    const opened = original() as Dir
    if (asked !== folder) return opened
    const close = opened.closeSync.bind(opened)
    return Object.assign(opened, { closeSync: () => { close(); act() } })
  })
}

test('what appears while the refs are being looked at is looked at as well', async (t) => {
  const { folder, path, repository, readRefs } = await makeScene(t)
  const [tip, before] = [await git(['rev-parse', 'main'], { cwd: path }), await git(['rev-parse', 'main~1'], { cwd: path })]
  const late = join(path, 'refs/heads/late')
  nextTick(folder)
  let appeared = false
  afterReading(t, join(path, 'refs/heads'), () => {
    if (appeared) return
    appeared = true
    mkdirSync(late)
    writeFileSync(join(late, 'ref'), `${tip}\n`)
  })
  await readRefs(repository)
  const state = await readRefs(repository)
  assert.ok(appeared)
  nextTick(folder)
  await git(['update-ref', 'refs/heads/late/ref', before], { cwd: path })
  assert.notEqual(await readRefs(repository), state)
})

test('a ref that becomes a folder of refs while they are being looked at', async (t) => {
  const { folder, path, repository, readRefs } = await makeScene(t)
  const [tip, before] = [await git(['rev-parse', 'main'], { cwd: path }), await git(['rev-parse', 'main~1'], { cwd: path })]
  await git(['branch', 'late', tip], { cwd: path })
  const late = join(path, 'refs/heads/late')
  let appeared = false
  afterReading(t, join(path, 'refs/heads'), () => {
    if (appeared) return
    appeared = true
    rmSync(late)
    mkdirSync(join(late, 'deep'), { recursive: true })
    writeFileSync(join(late, 'deep/ref'), `${tip}\n`)
  })
  await readRefs(repository)
  const state = await readRefs(repository)
  nextTick(folder)
  await git(['update-ref', 'refs/heads/late/deep/ref', before], { cwd: path })
  assert.notEqual(await readRefs(repository), state)
})

test('what files cannot prove is not proven', async (t) => {
  const { path, repository, readRefs } = await makeScene(t)
  const refs = join(path, 'refs/heads')
  const cases: Record<string, { make: () => void, undo: () => void }> = {
    'a ref that is a symlink': { make: () => symlinkSync('main', join(refs, 'link')), undo: () => rmSync(join(refs, 'link')) },
    'a symlink that leads nowhere': { make: () => symlinkSync('nowhere', join(refs, 'link')), undo: () => rmSync(join(refs, 'link')) },
    'a folder that is a symlink': { make: () => symlinkSync('team', join(refs, 'link')), undo: () => rmSync(join(refs, 'link')) },
    'a symbolic ref out of refs/': { make: () => writeFileSync(join(refs, 'out'), 'ref: FETCH_HEAD\n'), undo: () => rmSync(join(refs, 'out')) },
    'HEAD that is a symlink': {
      make: () => { rmSync(join(path, 'HEAD')); symlinkSync('refs/heads/main', join(path, 'HEAD')) },
      undo: () => { rmSync(join(path, 'HEAD')); writeFileSync(join(path, 'HEAD'), 'ref: refs/heads/main\n') }
    }
  }
  for (const [what, { make, undo }] of Object.entries(cases)) {
    assert.equal((await readRefs(repository)).provable, true, `before ${what}`)
    make()
    const state = await readRefs(repository)
    assert.equal(state.provable, false, what)
    assert.notEqual(await readRefs(repository), state, what)
    undo()
  }
  assert.equal((await readRefs(repository)).provable, true)
})

test('a linked worktree has a HEAD and refs of its own, and shares the others', async (t) => {
  const { folder, path, readRefs } = await makeScene(t)
  await git(['worktree', 'add', '--quiet', join(folder, 'linked'), 'team/topic'], { cwd: path })
  const repository = await opened(join(folder, 'linked/.git'))
  assert.equal(repository.common, path)
  let state = await readRefs(repository)
  for (const args of [['update-ref', 'refs/worktree/own', 'main'], ['checkout', '--quiet', '--detach'], ['update-ref', 'refs/heads/main', 'main~1']]) {
    assert.equal(await readRefs(repository), state)
    await git(args, { cwd: join(folder, 'linked') })
    const next = await readRefs(repository)
    assert.notEqual(next, state, args.join(' '))
    state = next
  }
})

test('5,000 loose refs leave the event loop its turns', async (t) => {
  const { folder, path, repository, readRefs } = await makeScene(t)
  const tip = await git(['rev-parse', 'main'], { cwd: path })
  for (let i = 0; i < 50; i++) {
    mkdirSync(join(path, `refs/heads/folder-${i}`))
    for (let j = 0; j < 100; j++) writeFileSync(join(path, `refs/heads/folder-${i}/ref-${j}`), `${tip}\n`)
  }
  nextTick(folder)
  const clock = stopClocks(t)
  let [turns, cost, longest, done] = [0, 0, 0, false]
  // Every call takes its time here, which is the only time there is.
  for (const [name, price] of [['statSync', 0.1], ['readFileSync', 0.1], ['opendirSync', 0.2]] as const) {
    intercept(t, name, (original, asked) => {
      if (!asked.startsWith(path)) return original()
      clock.pass(price)
      longest = Math.max(longest, cost += price)
      return original()
    })
  }
  const turn = (): void => {
    turns++
    cost = 0
    if (!done) setImmediate(turn)
  }
  setImmediate(turn)
  const state = await readRefs(repository)
  assert.equal(await readRefs(repository), state, 'compared by content')
  clock.pass(60_000)
  assert.equal(await readRefs(repository), state, 'compared by content for the last time')
  const before = turns
  assert.equal(await readRefs(repository), state, 'compared by stat')
  done = true
  assert.ok(turns - before >= 250, `${turns - before} turns in half a second`)
  assert.ok(longest <= 5, `${longest} ms at these prices`)
})
