import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile, readlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { promisify } from 'node:util'

/** A file whose owner cannot be asked (another machine, another container) is left over when it is older, in milliseconds. */
const ABANDONED = 86_400_000
const run = promisify(execFile)
let known: Promise<string> | undefined

/** Names this run of the system: what was written before it started may not have reached the disk. */
export async function bootId (): Promise<Buffer> {
  const id = await readFile('/proc/sys/kernel/random/boot_id', 'latin1').catch(hostname)
  return createHash('sha256').update(id).digest().subarray(0, 16)
}

/** Names a process for as long as the system runs, and longer than its id, which is given to another one some day. */
export async function ownerName (pid: number = process.pid): Promise<string> {
  return `${await machine()}-${pid}-${await startOf(pid) ?? 0}`
}

/** Whether the process that was named so has ended. `age` is that of its file, in milliseconds. */
export async function hasEnded (owner: string, age: number): Promise<boolean> {
  const [where, pid = '', start] = owner.split('-')
  if (where !== await machine()) return age > ABANDONED
  if (!isThere(Number(pid))) return true
  const now = await startOf(Number(pid))
  return now === null || start === '0' ? age > ABANDONED : now !== start
}

/** Process ids mean something within one boot and one pid namespace (pid_namespaces(7)). */
function machine (): Promise<string> {
  known ??= nameMachine()
  return known
}

async function nameMachine (): Promise<string> {
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '')
  return createHash('sha256').update(await bootId()).update(namespace).digest('hex').slice(0, 12)
}

/** A process of another user is not the one: the folder is ours alone. */
function isThere (pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** When it started, as digits that only have to be the same each time; `ended` for a zombie, null when that cannot be known. */
async function startOf (pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => null)
  if (stat !== null) {
    // proc_pid_stat(5): the command, in parentheses, may hold anything; behind it state is field 3, starttime field 22.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? 'ended' : fields[19] ?? null
  }
  const { stdout } = await run('ps', ['-o', 'lstart=', '-p', String(pid)], { env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' } }).catch(() => ({ stdout: '' }))
  const time = Date.parse(`${stdout.trim()} UTC`)
  return Number.isNaN(time) ? null : String(time)
}
