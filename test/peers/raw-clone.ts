import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { PASSWORD, USER } from './team-server.ts'

/** A clone whose client asks and then reads nothing until told to. */
export class StoppedClone {
  readonly #socket: Socket

  private constructor (socket: Socket) {
    this.#socket = socket
  }

  static async open (port: number, repository: string, commit: string): Promise<StoppedClone> {
    const socket = connect(port, '127.0.0.1')
    socket.pause()
    await once(socket, 'connect')
    const body = `0032want ${commit}\n00000009done\n`
    socket.write([
      `POST ${repository}/git-upload-pack HTTP/1.1`,
      'Host: localhost',
      `Authorization: Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`,
      'Content-Type: application/x-git-upload-pack-request',
      `Content-Length: ${body.length}`,
      'Connection: close',
      '', body
    ].join('\r\n'))
    return new StoppedClone(socket)
  }

  /** Reads to the end; answers how it began. */
  async readAll (): Promise<string> {
    return (await buffer(this.#socket)).toString('latin1', 0, 4096)
  }

  destroy (): void {
    this.#socket.destroy()
  }
}
