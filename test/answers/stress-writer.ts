/** Changes the refs of a repository until it is told to stop: `stress-writer REPOSITORY PROGRESS VALUES` */
import { execFileSync, spawn } from 'node:child_process'
import { openSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setImmediate as nextIteration } from 'node:timers/promises'
import { gitEnvironment } from '../fixtures/git.ts'

const [, , repository = '', progress = '', count = ''] = process.argv
/** Names that are there at the same time: more than git can miss while it reads a folder that changes. */
const NAMES = 60
/** Changes between two of another kind. */
const [PACK, MOVE_HEAD] = [37, 11]

const env = gitEnvironment()
const git = (...args: string[]): string => execFileSync('git', ['-c', 'core.fsync=none', ...args], { cwd: repository, env, encoding: 'utf8' })
const ids = git('rev-list', '--reverse', 'refs/heads/main').trim().split('\n')
if (ids.length !== Number(count)) throw new Error(`${ids.length} values`)

const file = openSync(progress, 'w')
function tell (position: 0 | 8, number: number): void {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleLE(number)
  writeSync(file, bytes, 0, 8, position)
}

// One git for all changes, as fast as it can.
const updates = spawn('git', ['-c', 'core.fsync=none', 'update-ref', '--stdin'], { cwd: repository, env, stdio: ['pipe', 'pipe', 'inherit'] })
const answers = createInterface(updates.stdout)[Symbol.asyncIterator]()
const stop = new AbortController()
process.once('message', () => stop.abort())
process.once('disconnect', () => process.exit(1))

for (let n = 0; !stop.signal.aborted; n++) {
  tell(0, n)
  const old = n >= NAMES ? `delete refs/counter/${n - NAMES}\n` : ''
  updates.stdin.write(`start\nupdate refs/heads/counter ${ids[n % ids.length]}\ncreate refs/counter/${n} ${ids[0]}\n${old}commit\n`)
  for (const expected of ['start: ok', 'commit: ok']) {
    const { value } = await answers.next()
    if (value !== expected) throw new Error(`git said ${value}`)
  }
  tell(8, n)
  if (n === 0) process.send?.('ready')
  if (n % PACK === 0) git('pack-refs', '--all')
  if (n % MOVE_HEAD === 0) git('symbolic-ref', 'HEAD', `refs/heads/${n % 2 === 0 ? 'main' : 'counter'}`)
  // For the word to stop.
  await nextIteration()
}
process.removeAllListeners('disconnect')
updates.stdin.end()
updates.once('exit', (code) => process.exit(code ?? 1))
