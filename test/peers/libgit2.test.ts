import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commitFile } from '../fixtures/repository.ts'
import { cloned, clientStories, succeeded, type Client } from './client-stories.ts'
import { pythonClient } from './programs.ts'
import { PASSWORD, USER } from './team-server.ts'

const open = async (): Promise<Client> => await pythonClient('libgit2_client.py', 'pygit2', 'python3-pygit2')

clientStories('libgit2', open)

test('libgit2 pushes in chunks, small pushes too', async (t) => {
  const { server, client, path } = await cloned(t, open)
  await commitFile(path, 'new.txt', 'new\n')
  succeeded(await client('push', USER, PASSWORD, path, 'refs/heads/main:refs/heads/main'))
  const pushes = server.seen.filter(({ method, url }) => method === 'POST' && url.endsWith('/git-receive-pack'))
  assert.ok(pushes.length > 0)
  for (const { headers } of pushes) {
    assert.equal(headers['transfer-encoding'], 'chunked')
    assert.equal(headers['content-length'], undefined)
  }
})
