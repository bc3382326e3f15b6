/**
 * The peer that anybody could write in an hour: a plain Node server that starts git-http-backend for every request.
 * `node-cgi.ts PORT BACKEND ROOT`
 */
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'

const [port, backend, root] = process.argv.slice(2) as [string, string, string]

createServer((request, response) => {
  const url = request.url ?? '/'
  const mark = url.indexOf('?')
  const { headers } = request
  const child = spawn(backend, [], {
    env: {
      ...process.env,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: decodeURIComponent(mark === -1 ? url : url.slice(0, mark)),
      QUERY_STRING: mark === -1 ? '' : url.slice(mark + 1),
      REQUEST_METHOD: request.method,
      REMOTE_ADDR: request.socket.remoteAddress,
      CONTENT_TYPE: headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: headers['content-encoding'] ?? '',
      ...(headers['content-length'] === undefined ? {} : { CONTENT_LENGTH: headers['content-length'] }),
      ...(headers['git-protocol'] === undefined ? {} : { GIT_PROTOCOL: String(headers['git-protocol']) })
    },
    stdio: ['pipe', 'pipe', 'ignore']
  })
  child.stdin.on('error', () => {})
  child.on('error', () => response.destroy())
  response.on('close', () => { if (!response.writableEnded) child.kill() })
  request.pipe(child.stdin)

  // The header that git-http-backend writes ends with an empty line; what follows is the body.
  let head = Buffer.alloc(0)
  child.stdout.on('data', function read (chunk: Buffer) {
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end === -1) return
    child.stdout.off('data', read)
    for (const line of head.subarray(0, end).toString('latin1').split('\r\n')) {
      const [name, value] = line.split(': ', 2) as [string, string]
      if (name === 'Status') response.statusCode = Number.parseInt(value)
      else response.setHeader(name, value)
    }
    response.write(head.subarray(end + 4))
    child.stdout.pipe(response)
  })
}).listen(Number(port), '127.0.0.1')
