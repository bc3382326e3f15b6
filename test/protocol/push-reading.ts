import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import type { PushHead } from '../../lib/protocol/push-head.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, gitEnvironment, tryGit } from '../fixtures/git.ts'
import { makeRepository } from '../fixtures/repository.ts'

/** What a pre-receive hook sees of a push; null when git never came that far. */
export interface Seen {
  commands: string
  options: string[]
  certificate: string
}

export interface Scene {
  folder: string
  repository: string
  /** Ids that exist. */
  ids: [string, string]
  /** A pack without objects. */
  pack: Buffer
}

// Writes what it sees beside the repository and refuses everything, so that the next push finds the same state.
const HOOK = `#!/bin/sh
cat > ../commands
printf '%s' "$GIT_PUSH_OPTION_COUNT" > ../count
i=0
while [ "$i" -lt "\${GIT_PUSH_OPTION_COUNT:-0}" ]; do eval "printf '%s\\0' \\"\\$GIT_PUSH_OPTION_$i\\""; i=$((i + 1)); done > ../options
if [ -n "$GIT_PUSH_CERT" ]; then git cat-file blob "$GIT_PUSH_CERT"; fi > ../certificate
exit 1
`

export async function makeScene (t: TestContext): Promise<Scene> {
  const folder = await temporaryFolder(t)
  const repository = await makeRepository(folder, 'app.git', { commits: 2 })
  await git(['config', 'receive.advertisePushOptions', 'true'], { cwd: repository })
  await writeFile(join(repository, 'hooks', 'pre-receive'), HOOK)
  await chmod(join(repository, 'hooks', 'pre-receive'), 0o755)
  const [one = '', two = ''] = (await git(['rev-list', 'main'], { cwd: repository })).split('\n')
  const { bytes: pack } = await tryGit(['pack-objects', '--quiet', '--stdout'], { cwd: repository })
  return { folder, repository, ids: [one, two], pack }
}

/** What git makes of `head` and an empty pack. */
export async function gitReads ({ folder, repository, pack }: Scene, head: Buffer): Promise<Seen | null> {
  for (const file of ['commands', 'options', 'certificate']) await rm(join(folder, file), { force: true })
  const child = spawn('git', ['receive-pack', '--stateless-rpc', repository], { env: gitEnvironment() })
  child.stdin.on('error', () => {})
  child.stdin.end(Buffer.concat([head, pack]))
  await Promise.all([buffer(child.stdout), buffer(child.stderr), once(child, 'close')])
  const commands = await readFile(join(folder, 'commands'), 'utf8').catch(() => null)
  if (commands === null) return null
  const options = (await readFile(join(folder, 'options'), 'utf8')).split('\0').slice(0, -1)
  return { commands, options, certificate: await readFile(join(folder, 'certificate'), 'utf8') }
}

export function asSeen (head: PushHead): Seen {
  return { commands: head.commands.map((one) => `${one.old} ${one.new} ${one.ref}\n`).join(''), options: head.options, certificate: head.certificate ?? '' }
}
