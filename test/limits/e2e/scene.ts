import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { GitHttpOptions } from '../../../lib/index.ts'
import { Admission } from '../../../lib/limits/admission.ts'
import { fetchV2 } from '../../fixtures/fetch-request.ts'
import { temporaryFolder } from '../../fixtures/folder.ts'
import { git } from '../../fixtures/git.ts'
import { eventually } from '../../fixtures/processes.ts'
import { makeRepository } from '../../fixtures/repository.ts'
import { startServer, type TestServer } from '../../fixtures/server.ts'
import { writeScript } from '../../fixtures/shims.ts'

export interface LimitScene extends TestServer {
  root: string
  /** Not served. */
  folder: string
  /** The tip of the repositories. */
  tip: string
  /** How many gits of `held.git` wait now, each with a slot. */
  held (): Promise<number>
  /** Resolves once so many wait. */
  reached (count: number): Promise<void>
  /** Lets exactly one go on. */
  letGo (): Promise<void>
  /** Lets all go on, those of the future as well: what is remembered may have been asked for first. */
  open (): Promise<void>
  /** {@link open}, and waits until nothing runs. */
  finish (): Promise<void>
  /** Opens a connection that asks for a pack; the body of the request is another one each time. */
  ask (name: string): Promise<Socket>
  /** How many gits the server has started so far. */
  started (): Promise<number>
  /** How many requests wait for a slot. */
  queued (): number
  /** Resolves once so many wait. */
  queueHas (count: number): Promise<void>
  /** Asks `held.git` and waits until its git has a slot. */
  occupy (count?: number): Promise<Socket[]>
}

/** A server with `held.git`, whose packs come only when the test lets them, and `app.git`. Nothing is remembered unless the options say so. */
export async function limitScene (t: TestContext, options: Omit<GitHttpOptions, 'root'> = {}): Promise<LimitScene> {
  const [root, folder] = [await temporaryFolder(t), await temporaryFolder(t)]
  for (const name of ['app.git', 'held.git']) await makeRepository(root, name, { commits: 2 })
  const tip = await git(['rev-parse', 'main'], { cwd: join(root, 'app.git') })
  const token = join(folder, 'token')
  const path = await writeScript(folder, 'git', `echo "$*" >> ${folder}/started
case " $* " in
*" --advertise-refs "*) ;;
*" --stateless-rpc "*/held.git*) touch ${folder}/waits.$$; until [ -e ${folder}/open ] || rmdir ${token} 2>/dev/null; do sleep 0.02; done; rm ${folder}/waits.$$ ;;
esac
exec git "$@"`)
  const { limits, ...others } = options
  const admission = watchAdmission(t)
  const server = await startServer(t, {
    root, git: { path }, publicWrite: true, cache: { answers: false, packs: false }, limits: { closeGrace: 100, ...limits }, ...others
  })
  const held = async (): Promise<number> => (await readdir(folder)).filter((name) => name.startsWith('waits.')).length
  const reached = async (count: number): Promise<void> => await eventually(async () => await held() === count, 10_000, `${count} gits are held`)
  const queued = (): number => admission()?.counters.queued ?? 0
  let asked = 0
  const ask = async (name: string): Promise<Socket> => {
    const body = fetchV2({ wants: [tip], haves: [String(++asked).padStart(40, '0')] })
    const socket = connect(server.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(`POST /${name}/git-upload-pack HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nGit-Protocol: version=2\r\n` +
      `Content-Type: application/x-git-upload-pack-request\r\nContent-Length: ${body.length}\r\n\r\n`)
    socket.write(body)
    await once(socket, 'connect')
    return socket
  }
  const letGo = async (): Promise<void> => {
    await mkdir(token)
    await eventually(async () => !(await readdir(folder)).includes('token'), 10_000, 'one goes on')
  }
  const open = async (): Promise<void> => { await writeFile(join(folder, 'open'), '') }
  return {
    ...server,
    root,
    folder,
    tip,
    held,
    reached,
    ask,
    queued,
    queueHas: async (count) => await eventually(async () => queued() === count, 5_000, `${count} wait, not ${queued()}`),
    started: async () => (await readFile(join(folder, 'started'), 'utf8').catch(() => '')).split('\n').length - 1,
    letGo,
    open,
    finish: async () => {
      await open()
      await eventually(async () => server.app.gitHttp.active === 0, 10_000, 'it has ended')
    },
    occupy: async (count = 1) => {
      const before = await held()
      const sockets = await Promise.all(Array.from({ length: count }, async () => await ask('held.git')))
      await reached(before + count)
      return sockets
    }
  }
}

/** The admission of the server, once anybody has asked it for a slot: no client can tell a queue from a slow git. */
function watchAdmission (t: TestContext): () => Admission | undefined {
  let seen: Admission | undefined
  const { acquire } = Admission.prototype
  t.mock.method(Admission.prototype, 'acquire', async function (this: Admission, ...args: Parameters<typeof acquire>) {
    seen = this
    return await acquire.apply(this, args)
  })
  return () => seen
}

/** Log lines that would wake somebody up. */
export function errorsIn ({ log }: TestServer): unknown[] {
  return log.filter(({ level }) => Number(level) >= 50)
}
