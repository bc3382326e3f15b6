import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import assert from 'node:assert/strict'
import { git, tryGit } from '../fixtures/git.ts'
import { commitRandom } from '../fixtures/repository.ts'
import { PASSWORD, USER } from './team-server.ts'

const NO_OBJECT = '0'.repeat(40)

/** The body of a push that creates `branch` with one new commit of `size` random bytes, as git would send it. */
export async function pushBody (copy: string, branch: string, size: number): Promise<{ body: Buffer, commit: string }> {
  const base = await git(['rev-parse', 'HEAD'], { cwd: copy })
  const commit = await commitRandom(copy, 'raw.bin', size)
  const command = `${NO_OBJECT} ${commit} refs/heads/${branch}\0 report-status agent=raw\n`
  const { bytes, code } = await tryGit(['pack-objects', '--quiet', '--revs', '--stdout'], { cwd: copy, input: `${commit}\n^${base}\n` })
  assert.equal(code, 0)
  const length = (command.length + 4).toString(16).padStart(4, '0')
  return { body: Buffer.concat([Buffer.from(`${length}${command}0000`), bytes]), commit }
}

/** A push that is sent piece by piece. */
export class ChunkedPush {
  readonly #socket: Socket
  readonly #answer: Promise<Buffer>

  private constructor (socket: Socket) {
    this.#socket = socket
    this.#answer = buffer(socket)
    this.#answer.catch(() => {})
  }

  /** Connects and sends the headers. */
  static async open (port: number, repository: string): Promise<ChunkedPush> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write([
      `POST ${repository}/git-receive-pack HTTP/1.1`,
      'Host: localhost',
      `Authorization: Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`,
      'Content-Type: application/x-git-receive-pack-request',
      'Transfer-Encoding: chunked',
      'Connection: close',
      '', ''
    ].join('\r\n'))
    return new ChunkedPush(socket)
  }

  send (bytes: Buffer): void {
    this.#socket.write(`${bytes.length.toString(16)}\r\n`)
    this.#socket.write(bytes)
    this.#socket.write('\r\n')
  }

  /** Ends the body; answers everything that came back. */
  async end (): Promise<string> {
    this.#socket.write('0\r\n\r\n')
    return (await this.#answer).toString('latin1')
  }

  destroy (): void {
    this.#socket.destroy()
  }
}
