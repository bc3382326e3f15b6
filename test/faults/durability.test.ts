/** What a client saw succeed survives a power cut only if git was told to wait for the disk; kill -9 alone, in killed-server.test.ts, leaves the system's cache. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git } from '../fixtures/git.ts'
import { makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startServer } from '../fixtures/server.ts'

test('every git that writes objects or refs of a push waits for the disk', async (t) => {
  const [root, folder] = [await temporaryFolder(t), await temporaryFolder(t)]
  const served = await makeRepository(root, 'app.git')
  // The repository's own word does not count.
  await git(['config', 'core.fsync', 'none'], { cwd: served })
  const work = await makeWorkingCopy(folder, 'work')
  const { url } = await startServer(t, { root, publicWrite: true, environment: () => ({ GIT_TRACE2_EVENT: join(folder, 'trace'), GIT_TRACE2_CONFIG_PARAMS: 'core.fsync' }) })
  await git(['push', '--quiet', `${url}/app.git`, 'main:refs/heads/new'], { cwd: work })
  const events = (await readFile(join(folder, 'trace'), 'utf8')).trimEnd().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>)
  const named = new Map(events.filter(({ event }) => event === 'cmd_name').map(({ sid, name }) => [sid, name]))
  const settings = new Map<unknown, unknown>()
  // The last one of a process is the one that counts.
  for (const { event, sid, param, value } of events) if (event === 'def_param' && param === 'core.fsync') settings.set(named.get(sid), value)
  for (const name of ['receive-pack', 'unpack-objects']) assert.equal(settings.get(name), 'objects,derived-metadata,reference', name)
})
