import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { selfSigned } from '../fixtures/certificate.ts'
import { shell, startCommand } from '../fixtures/command.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { commitRandom, makeRepository } from '../fixtures/repository.ts'

test('HTTPS serves HTTP/2 and HTTP/1.1, and stops although clients stay connected', async (t) => {
  const folder = await temporaryFolder(t)
  const files = await temporaryFolder(t)
  const [certFile, keyFile] = [join(files, 'cert.pem'), join(files, 'key.pem')]
  const { cert, key } = selfSigned()
  await writeFile(certFile, cert)
  await writeFile(keyFile, key)
  const bare = await makeRepository(folder, 'app.git', { commits: 20 })
  const server = await startCommand(t, ['--root', folder, '--allow-push', '--tls-cert', certFile, '--tls-key', keyFile])
  assert.equal(server.clone, `git clone https://localhost:${server.port}/app.git`)

  for (const [version, seen] of [['HTTP/2', 'HTTP/2 200'], ['HTTP/1.1', 'HTTP/1.1 200 OK']] as const) {
    const elsewhere = await temporaryFolder(t)
    const line = server.clone.replace('git', `git -c http.sslCAInfo=${certFile} -c http.version=${version}`)
    const { code, stderr } = await shell(line, elsewhere, { GIT_TRACE_CURL: '1' })
    assert.equal(code, 0, stderr)
    assert.ok(stderr.includes(`Recv header: ${seen}`), stderr)

    // Larger than http.postBuffer, so that it comes without a length.
    const copy = join(elsewhere, 'app')
    const id = await commitRandom(copy, `${seen.length}.bin`, 3_000_000)
    await git(['-c', `http.sslCAInfo=${certFile}`, '-c', `http.version=${version}`, 'push', '--quiet', 'origin', 'HEAD:main'], { cwd: copy })
    assert.equal(await git(['rev-parse', 'main'], { cwd: bare }), id)
  }
  server.child.kill('SIGTERM')
  assert.equal((await server.ended).code, 0)
})
