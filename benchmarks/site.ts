import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { compile } from './peers/compile.ts'
import { removeGroups } from './peers/cpu.ts'
import { stopAll } from './peers/daemon.ts'
import type { Site } from './peers/peer.ts'

/** A folder for one run, with the repositories below `root`, by default an empty one in it; `clear` ends everything that was started and removes it. */
export async function openSite (root?: string): Promise<{ site: Site, clear: () => Promise<void> }> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'fastify-git-http-bench-')))
  let clearing: Promise<void> | undefined
  const clear = (): Promise<void> => {
    clearing ??= stopAll().then(async () => {
      await removeGroups()
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
    })
    return clearing
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // More than once: Ctrl-C reaches this process directly, and again through npm and tsx.
    process.on(name, () => { clear().finally(() => process.exit(1)) })
  }
  process.once('uncaughtException', (error) => {
    console.error(error)
    clear().finally(() => process.exit(1))
  })
  // Apache, started by root, gives root's rights up and must get here.
  chmodSync(folder, 0o755)
  const repositories = root ?? join(folder, 'repositories')
  mkdirSync(repositories, { recursive: true })
  const site: Site = {
    folder,
    root: realpathSync(repositories),
    backend: join(execFileSync('git', ['--exec-path'], { encoding: 'utf8' }).trim(), 'git-http-backend'),
    cores: cpus().length,
    compiled: await compile(folder),
    env: { PATH: process.env['PATH'] ?? '', HOME: folder, LC_ALL: 'C', GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' }
  }
  return { site, clear }
}
