import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { git } from '../fixtures/git.ts'
import { history, makeRepository } from '../fixtures/repository.ts'

/** Builds one repository of every kind whose answers could differ; answers their names. */
export async function makeEveryKind (root: string): Promise<string[]> {
  const kinds: Record<string, (path: string) => Promise<unknown>> = {
    'plain.git': async (path) => await git(['fast-import', '--quiet'], { cwd: path, input: history('refs/heads/topic', 4) }),
    'tags.git': async (path) => {
      await git(['tag', '-a', '-m', 'one', 'v1', 'main'], { cwd: path })
      await git(['tag', '-a', '-m', 'two', 'nested', 'v1'], { cwd: path })
      await git(['tag', 'light', 'main~1'], { cwd: path })
      await git(['pack-refs', '--all'], { cwd: path })
      await git(['branch', 'loose', 'main~2'], { cwd: path })
    },
    'packed.git': async (path) => {
      await git(['config', 'pack.threads', '1'], { cwd: path })
      await git(['repack', '-adq'], { cwd: path })
    },
    'many.git': async (path) => {
      const lines = Array.from({ length: 500 }, (_, i) => `create refs/heads/branch-${i} main\n`).join('')
      await git(['update-ref', '--stdin'], { cwd: path, input: lines })
      await git(['pack-refs', '--all'], { cwd: path })
      await git(['update-ref', '--stdin'], { cwd: path, input: lines.replaceAll('branch', 'loose').replaceAll('main', 'main~1') })
    },
    'detached.git': async (path) => await git(['update-ref', '--no-deref', 'HEAD', 'main~1'], { cwd: path }),
    'unborn.git': async (path) => await git(['symbolic-ref', 'HEAD', 'refs/heads/nowhere'], { cwd: path }),
    'symref.git': async (path) => {
      await git(['symbolic-ref', 'refs/heads/alias', 'refs/heads/main'], { cwd: path })
      await git(['symbolic-ref', 'HEAD', 'refs/heads/alias'], { cwd: path })
    },
    'hidden.git': async (path) => {
      await git(['update-ref', 'refs/secret/one', 'main'], { cwd: path })
      await git(['config', 'transfer.hideRefs', 'refs/secret'], { cwd: path })
      await git(['config', 'uploadpack.allowFilter', 'true'], { cwd: path })
    },
    'pushable.git': async (path) => {
      await git(['config', 'http.receivepack', 'true'], { cwd: path })
      await git(['config', 'receive.advertisePushOptions', 'true'], { cwd: path })
    },
    'closed.git': async (path) => {
      await git(['config', 'http.uploadpack', 'false'], { cwd: path })
      await git(['config', 'http.getanyfile', 'false'], { cwd: path })
    },
    'alternates.git': async (path) => await writeFile(join(path, 'objects/info/alternates'), `${join(root, 'plain.git')}/objects\n`)
  }
  for (const [name, change] of Object.entries(kinds)) await change(await makeRepository(root, name, { commits: 5 }))
  await makeRepository(root, 'empty.git', { commits: 0 })
  await makeRepository(root, 'sha256.git', { commits: 3, init: ['--object-format=sha256'] })
  await git(['clone', '--quiet', join(root, 'tags.git'), join(root, 'work')])
  return [...Object.keys(kinds), 'empty.git', 'sha256.git', 'work']
}
