import { rm } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gitEnvironment, tryGit } from '../fixtures/git.ts'
import { commitRandom } from '../fixtures/repository.ts'

/** What the real client sends over each of its connections while it does everything it can do with `name`. */
export async function recordClient (port: number, name: string, work: string): Promise<Buffer[]> {
  const recorded: Buffer[] = []
  const proxy = createServer((client) => {
    const chunks: Buffer[] = []
    const server = connect(port, '127.0.0.1')
    client.on('data', (chunk: Buffer) => chunks.push(chunk))
    client.on('close', () => { if (chunks.length > 0) recorded.push(Buffer.concat(chunks)) })
    for (const [from, to] of [[client, server], [server, client]] as const) {
      from.on('error', () => to.destroy())
      from.pipe(to)
    }
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/${name}`
  const run = async (...args: string[]): Promise<void> => { await tryGit(args, { cwd: work, env: gitEnvironment() }) }
  for (const version of [0, 1, 2]) {
    const options = ['-c', `protocol.version=${version}`]
    await run(...options, 'ls-remote', url)
    for (const extra of [[], ['--depth=1'], ['--bare', '--filter=blob:none'], ['--single-branch']]) {
      await run(...options, 'clone', '--quiet', ...extra, url, join(work, 'clone'))
      await rm(join(work, 'clone'), { recursive: true, force: true })
    }
    await commitRandom(work, 'file', 1_000)
    await run(...options, 'push', '--quiet', url, `HEAD:refs/heads/small-${version}`, `HEAD:refs/heads/other-${version}`)
    await run(...options, 'push', '--quiet', '--atomic', url, `:refs/heads/other-${version}`, `+HEAD~1:refs/heads/small-${version}`)
    await run(...options, 'fetch', '--quiet', url, `refs/heads/small-${version}`)
  }
  await commitRandom(work, 'file', 1_200_000)
  await run('push', '--quiet', url, 'HEAD:refs/heads/large')
  await tryGit(['clone', '--quiet', url, join(work, 'clone')], { env: { GIT_SMART_HTTP: '0' } })
  proxy.close()
  return recorded
}
