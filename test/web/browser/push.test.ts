import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import { startCommand } from '../../fixtures/command.ts'
import { temporaryFolder } from '../../fixtures/folder.ts'
import { git, tryGit } from '../../fixtures/git.ts'
import { commitRandom, makeRepository, makeWorkingCopy } from '../../fixtures/repository.ts'
import { openBrowser } from './chromium.ts'

const MB = 1024 * 1024

for (const args of [[], ['--workers', '2']]) {
  test(`a push to the command${args.map((arg) => ` ${arg}`).join('')} is watched from its first bytes to its end`, async (t) => {
    const root = await temporaryFolder(t)
    const served = await makeRepository(root, 'app.git', { commits: 0 })
    const work = await makeWorkingCopy(await temporaryFolder(t), 'work')
    await commitRandom(work, 'big.bin', 24 * MB)
    const server = await startCommand(t, ['--root', root, '--allow-push', ...args])
    const { page, complaints } = await openBrowser(t)
    await page.goto(`${server.url}/-/status`)
    await page.getByText('Live', { exact: true }).waitFor()
    await page.getByText('Nothing that you may see is in flight').waitFor()

    // A line that stops in the middle of the push.
    const [port, resume] = await startRelay(t, server.port, 12 * MB)
    const push = tryGit(['push', '--quiet', `http://127.0.0.1:${port}/app.git`, 'HEAD:refs/heads/main'], { cwd: work })
    await page.getByRole('cell', { name: 'receive-pack' }).waitFor()
    await page.getByRole('cell', { name: 'receiving' }).waitFor()
    // What the sockets hold has not been read yet.
    await page.getByRole('cell', { name: /^1[0-2](\.\d)? MiB$/ }).waitFor()
    await page.locator('[data-peak="in"]', { hasText: 'MiB/s' }).waitFor()
    await page.locator('[data-figure="git"]', { hasText: /^1$/ }).waitFor()
    resume()
    const { code, stderr } = await push
    assert.equal(code, 0, stderr)
    await page.getByText('Nothing that you may see is in flight').waitFor()
    await page.locator('[data-figure="received"]', { hasText: /^2[45](\.\d)? MiB$/ }).waitFor()
    assert.equal(await git(['rev-parse', 'main'], { cwd: served }), await git(['rev-parse', 'HEAD'], { cwd: work }))
    assert.deepEqual(complaints, [])
  })
}

/** A port that leads to `to`, and takes no more from its clients after so many bytes until it is resumed. */
async function startRelay (t: { after: (end: () => void) => void }, to: number, pauseAfter: number): Promise<[number, () => void]> {
  let [passed, isOpen] = [0, false]
  const paused: Socket[] = []
  const relay = createServer((client) => {
    const server = connect(to, 'localhost')
    for (const socket of [client, server]) {
      socket.on('error', () => {})
      t.after(() => { socket.destroy() })
    }
    server.pipe(client)
    client.on('end', () => server.end())
    server.on('drain', () => client.resume())
    client.on('data', (chunk) => {
      passed += chunk.length
      if (!server.write(chunk)) client.pause()
      if (isOpen || passed < pauseAfter) return
      client.pause()
      server.removeAllListeners('drain')
      server.on('drain', () => { if (isOpen) client.resume() })
      paused.push(client)
    })
  }).listen(0, '127.0.0.1')
  t.after(() => { relay.close() })
  await once(relay, 'listening')
  const resume = (): void => {
    isOpen = true
    for (const socket of paused) socket.resume()
  }
  return [(relay.address() as AddressInfo).port, resume]
}
