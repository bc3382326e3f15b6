import { mkdir } from 'node:fs/promises'
import { openStarter } from '../../lib/git/spawner.ts'
import { HookFolder } from '../../lib/push/hook-folder.ts'
import { git } from '../fixtures/git.ts'
import { makeRepository, makeWorkingCopy } from '../fixtures/repository.ts'
import { startPush } from './hook-scene.ts'

/** A server of its own with a push that waits in preReceive; says when it does. Arguments: a folder, helper processes. */
const [, , root = '', processes = '0'] = process.argv
await mkdir(root, { recursive: true })
process.env['TMPDIR'] = root
const served = await makeRepository(root, 'app.git', { commits: 0 })
const work = await makeWorkingCopy(root, 'work')
const scene = {
  root,
  served,
  work,
  id: await git(['rev-parse', 'HEAD'], { cwd: work }),
  starter: await openStarter('git', Number(processes), console),
  folder: await HookFolder.open()
}
await startPush(scene, {
  preReceive: async () => {
    process.send?.({ served })
    return await new Promise<never>(() => {})
  }
})
