import { spawnSync } from 'node:child_process'
import type { TestContext } from 'node:test'
import fc from 'fast-check'
import { temporaryFolder } from '../fixtures/folder.ts'
import { git, gitEnvironment } from '../fixtures/git.ts'
import { history, makeRepository } from '../fixtures/repository.ts'
import { DELIMITER, FLUSH, type Part } from './fetch-helpers.ts'

export type Version = 0 | 1 | 2

/** Whether git's own upload-pack gets through the request. */
export function gitTakes (path: string, protocol: Version, body: Buffer): { taken: boolean, why: string } {
  // A response end aborts git: its core goes nowhere.
  const { status, stdout, stderr } = spawnSync('sh', ['-c', 'ulimit -c 0; exec git upload-pack --stateless-rpc "$0"', path], {
    input: body, env: gitEnvironment({ GIT_PROTOCOL: `version=${protocol}` })
  })
  // What pack-objects says goes to the client, where it asked for a side band.
  return { taken: status === 0, why: status === 0 ? '' : `${stderr.toString()}${stdout.toString('latin1')}` }
}

export interface Scene { path: string, commits: string[] }

/** A repository that allows all that a client may ask for. */
export async function makeScene (t: TestContext, init: string[] = []): Promise<Scene> {
  const path = await makeRepository(await temporaryFolder(t), 'app.git', { commits: 6, init })
  const run = async (...args: string[]): Promise<string> => await git(args, { cwd: path })
  await run('branch', 'old', 'main~5')
  // With no commit in common: git dies when what is not to be sent is all that there is.
  await git(['fast-import', '--quiet'], { cwd: path, input: history('refs/heads/apart', 1) })
  await run('tag', '-a', '-m', 'one', 'v1', 'apart')
  for (const name of ['uploadpack.allowFilter', 'uploadpack.allowRefInWant', 'uploadpack.allowSidebandAll', 'uploadpack.allowAnySHA1InWant', 'transfer.advertiseSID']) await run('config', name, 'true')
  await run('config', 'core.logAllRefUpdates', 'false')
  return { path, commits: (await run('rev-list', 'main')).split('\n') }
}

const NEEDS = ['filter blob:none', 'filter tree:1', 'filter combine:blob:limit=5k+tree:3', 'filter object:type=commit', 'filter sparse:oid=main:file-1.txt', 'deepen 1', 'deepen 3', 'deepen 2147483647', 'deepen-since 1', 'deepen-not apart', 'deepen-not v1', 'deepen-not refs/heads/apart']
const BOOLEANS2 = ['done', 'thin-pack', 'no-progress', 'include-tag', 'ofs-delta', 'deepen-relative', 'sideband-all', 'wait-for-done', 'want-ref refs/heads/main', 'want-ref refs/heads/old', 'packfile-uris https']
const BOOLEANS0 = ['multi_ack', 'multi_ack_detailed', 'no-done', 'thin-pack', 'side-band', 'side-band-64k', 'ofs-delta', 'shallow', 'deepen-since', 'deepen-not', 'deepen-relative', 'no-progress', 'include-tag', 'filter', 'agent=x', 'session-id=s']

const flag = fc.boolean()

/** Requests that a client could send. */
export function arbitraries ({ commits }: Scene, format: string): Record<Version, fc.Arbitrary<Part[]>> {
  const commit = fc.constantFrom(...commits)
  const foreign = fc.constant('0123456789abcdef'.repeat(4).slice(0, commits[0]?.length))
  const lines = (keyword: string, id: fc.Arbitrary<string>, minLength = 0): fc.Arbitrary<string[]> => fc.array(id.map((name) => `${keyword} ${name}`), { minLength, maxLength: 3 })
  const wants = lines('want', commit, 1)
  const haves = lines('have', fc.oneof(commit, foreign))
  const shallows = lines('shallow', fc.oneof(commit, foreign))
  const needs = fc.subarray(NEEDS, { maxLength: 3 })
  const version2 = fc.tuple(fc.subarray(['agent=x', 'session-id=s', 'server-option=o']), fc.subarray(BOOLEANS2), needs, fc.oneof(wants, fc.constant([])), haves, shallows, flag)
    .map(([capabilities, booleans, others, want, have, shallow, last]): Part[] => {
      const args = [...booleans, ...others, ...want, ...have, ...shallow]
      return ['command=fetch', `object-format=${format}`, ...capabilities, DELIMITER, ...(last ? args.reverse() : args), FLUSH]
    })
  const end = fc.constantFrom<Part[]>(['done'], [FLUSH], [])
  const version0 = fc.tuple(fc.subarray(BOOLEANS0), wants, needs, haves, shallows, end)
    .map(([capabilities, [first = '', ...want], others, have, shallow, close]): Part[] => [[first, ...capabilities].join(' '), ...want, ...shallow, ...others, FLUSH, ...have, ...close])
  return { 0: version0, 1: version0, 2: version2 }
}
