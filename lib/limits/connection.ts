import { ServerResponse } from 'node:http'
import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'

const watched = new WeakMap<Socket, Set<() => void>>()

/**
 * Calls `act` once, when the response has closed or will never be able to. Of requests that a client sends without waiting for
 * answers (pipelining), Node gives the connection to the first response only; the others hear nothing of its end. One
 * listener for all requests of a connection: Node takes more than ten for a leak.
 */
export function onceOver (response: EventEmitter, act: () => void): void {
  const socket = response instanceof ServerResponse ? response.req.socket : null
  const acts = socket === null ? null : watched.get(socket) ?? watch(socket)
  let isOver = false
  const over = (): void => {
    if (isOver) return
    isOver = true
    response.off('close', over)
    acts?.delete(over)
    act()
  }
  response.once('close', over)
  acts?.add(over)
  // It went before anybody got to the request.
  if (socket?.closed === true) process.nextTick(over)
}

function watch (socket: Socket): Set<() => void> {
  const acts = new Set<() => void>()
  watched.set(socket, acts)
  // Behind Node's own listener, which closes the response that has the connection.
  socket.once('close', () => { for (const act of [...acts]) act() })
  return acts
}
