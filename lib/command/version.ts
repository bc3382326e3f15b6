import { existsSync, readFileSync } from 'node:fs'
import { captureGit } from '../git/capture.ts'
import { inheritedEnvironment } from '../git/environment.ts'
import { Failure } from './failure.ts'

/** The oldest git that this package is tested with. */
const OLDEST_GIT = [2, 39] as const

/** The version of this package; its package.json is at another distance from the source than from dist/. */
export function packageVersion (): string {
  for (let folder = new URL('./', import.meta.url); ; folder = new URL('../', folder)) {
    const file = new URL('package.json', folder)
    if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')).version
    if (folder.pathname === '/') throw new Failure('package.json is missing')
  }
}

/** @throws Failure when git is missing or too old. */
export async function requireGit (): Promise<void> {
  const oldest = OLDEST_GIT.join('.')
  const { stdout } = await captureGit('git', ['version'], inheritedEnvironment(), 4096).catch(() => {
    throw new Failure(`git was not found or does not run: install git ${oldest} or newer`)
  })
  const [, version = '', major, minor] = /^git version ((\d+)\.(\d+)\S*)/.exec(stdout) ?? []
  if (version === '') throw new Failure('git does not tell its version: git version failed')
  const [first, second] = OLDEST_GIT
  if (Number(major) > first || (Number(major) === first && Number(minor) >= second)) return
  throw new Failure(`git ${version} is too old: install git ${oldest} or newer`)
}
