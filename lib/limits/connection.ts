import { ServerResponse } from 'node:http'
import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'

const open = new WeakMap<Socket, Set<ServerResponse>>()

/**
 * Sees to it that a response emits `close`. Of requests that a client sends without waiting for answers (pipelining) Node gives the
 * connection to the first response only; when it closes, the others hear nothing of it, and whoever waits for them waits for ever.
 * One listener for all of a connection: Node takes more than ten for a leak.
 */
export function closeWithConnection (response: EventEmitter): void {
  if (!(response instanceof ServerResponse)) return
  const { socket } = response.req
  const responses = open.get(socket) ?? watch(socket)
  responses.add(response)
  response.once('close', () => responses.delete(response))
  // It went before anybody got to the request.
  if (socket.closed) process.nextTick(closeAll, responses)
}

function watch (socket: Socket): Set<ServerResponse> {
  const responses = new Set<ServerResponse>()
  open.set(socket, responses)
  // Node closes the response that has the connection in the same event.
  socket.once('close', () => process.nextTick(closeAll, responses))
  return responses
}

function closeAll (responses: Set<ServerResponse>): void {
  for (const response of [...responses]) {
    response.destroy()
    // As Node does for the one that has the connection (lib/_http_server.js, onServerResponseClose): who asks later has to see it as well.
    Object.assign(response, { _closed: true })
    response.emit('close')
  }
}
