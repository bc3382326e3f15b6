import { Socket } from 'node:net'
import type { PartRequest } from './spawner-messages.ts'

/** Longest wait for a connection of a process with itself, in milliseconds. */
const PATIENCE = 5_000

/**
 * What a git that writes has for stdout: a connection of the helper with itself. git gets the end that arrives at `path`; this end is
 * given to the server, and the helper keeps it as well. So git can write for as long as one of both lives, and who is the last to
 * live reads it: a receive-pack that cannot report dies of SIGPIPE, and leaves its quarantine behind (tmp-objdir.c does not clean up
 * in a signal handler).
 */
export class Outlet {
  readonly socket: Socket = new Socket()
  readonly #request: Socket
  readonly #timer: NodeJS.Timeout

  /** `request`: the connection that asked for it, which is closed with it. `onFailure` may be called more than once. */
  constructor (path: string, id: number, request: Socket, onFailure: (error: Error) => void) {
    this.#request = request
    // What is read here the server does not get.
    this.socket.pause()
    this.socket.on('error', onFailure)
    // Out of descriptors, libuv accepts a connection and closes it; who does not read does not notice.
    this.#timer = setTimeout(() => onFailure(new Error('no connection for stdout')), PATIENCE)
    const part: PartRequest = { id, part: 'stdout' }
    this.socket.connect(path)
    this.socket.write(`${JSON.stringify(part)}\n`)
  }

  /** The other end has arrived. */
  arrived (): void {
    clearTimeout(this.#timer)
  }

  /** Reads what the server would have read. */
  drain (): void {
    this.socket.resume()
  }

  close (): void {
    clearTimeout(this.#timer)
    this.socket.destroy()
    this.#request.destroy()
  }
}
