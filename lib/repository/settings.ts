import { stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { LRUCache } from 'lru-cache'
import { GitFailedError } from '../errors.ts'
import { captureGit } from '../git/capture.ts'
import { gitOptions } from '../git/environment.ts'
import type { GitDirectory } from './git-directory.ts'

/** A repository's own `http.*` switches (git-http-backend(1), "SERVICES"); undefined where its config says nothing. */
export interface RepositorySettings {
  uploadPack: boolean | undefined
  receivePack: boolean | undefined
  uploadArchive: boolean | undefined
  getAnyFile: boolean | undefined
}

/** What a repository without a word about it has. */
export const NO_SETTINGS: RepositorySettings = { uploadPack: undefined, receivePack: undefined, uploadArchive: undefined, getAnyFile: undefined }

export type ReadSettings = (repository: GitDirectory) => Promise<RepositorySettings>

interface Remembered {
  settings: RepositorySettings
  /** Every file that the settings came from, or could come from, with its stamp; a missing one has the stamp ''. */
  files: Map<string, string>
}

/** Longest `git config --list` that is read, in bytes. */
const LIST_LIMIT = 4 * 1024 * 1024
/** A file that changed less than this before it was read may change again within the same tick of its clock, in nanoseconds. */
const RACY_WINDOW = 2_000_000_000n
/** Repositories whose settings are remembered. */
const MAX_REMEMBERED = 2_000

/**
 * Builds the reader of repository settings. git itself reads the config; its answer is remembered for
 * as long as none of the files behind it changes.
 */
export function createReadSettings ({ path, config }: { path: string, config: Record<string, string> }, env: Record<string, string>): ReadSettings {
  const remembered = new LRUCache<string, Remembered>({ max: MAX_REMEMBERED })

  return async (repository) => {
    const known = remembered.get(repository.directory)
    if (known !== undefined && await unchanged(known.files)) return known.settings
    const started = BigInt(Date.now()) * 1_000_000n
    const entries = await listConfig(repository.directory)
    const settings = settingsOf(entries)
    const files = await stampAll(sources(entries, repository, env))
    // Stamped after reading: only files that were at rest before git read them prove anything.
    if (isSettled(files, started)) remembered.set(repository.directory, { settings, files })
    else remembered.delete(repository.directory)
    return settings
  }

  async function listConfig (directory: string): Promise<ConfigEntry[]> {
    const args = [...gitOptions(directory, config), `--git-dir=${directory}`, 'config', '--list', '--show-origin', '-z']
    const { code, stdout } = await captureGit(path, args, env, LIST_LIMIT)
    if (code !== 0) throw new GitFailedError()
    return parseList(stdout)
  }
}

interface ConfigEntry {
  origin: string
  key: string
  /** null for a key without `=`, which git reads as true. */
  value: string | null
}

/** `git config --list --show-origin -z`: origin NUL key LF value NUL, or key NUL without a value. */
function parseList (output: string): ConfigEntry[] {
  const fields = output.split('\0')
  const entries: ConfigEntry[] = []
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [origin, line] = [fields[i] as string, fields[i + 1] as string]
    const end = line.indexOf('\n')
    entries.push({ origin, key: end < 0 ? line : line.slice(0, end), value: end < 0 ? null : line.slice(end + 1) })
  }
  return entries
}

function settingsOf (entries: ConfigEntry[]): RepositorySettings {
  const last = (key: string): boolean | undefined => {
    const entry = entries.findLast((candidate) => candidate.key === key)
    return entry === undefined ? undefined : gitBoolean(entry.value)
  }
  return {
    uploadPack: last('http.uploadpack'),
    receivePack: last('http.receivepack'),
    uploadArchive: last('http.uploadarchive'),
    getAnyFile: last('http.getanyfile')
  }
}

/**
 * config.c, git_config_bool.
 *
 * @throws GitFailedError for anything else, as git-http-backend dies of it: a typo must not open a repository.
 */
export function gitBoolean (value: string | null): boolean {
  if (value === null || /^(?:true|yes|on)$/i.test(value)) return true
  if (/^(?:false|no|off|)$/i.test(value)) return false
  const number = /^\s*([+-]?\d+)[kmg]?$/i.exec(value)
  if (number === null) throw new GitFailedError()
  return Number(number[1]) !== 0
}

/** Files whose change may change the settings: those named, those that git would look for, and what they include. */
function sources (entries: ConfigEntry[], { directory, common }: GitDirectory, env: Record<string, string>): Set<string> {
  const home = env['HOME'] ?? homedir()
  const files = new Set([
    join(common, 'config'), join(directory, 'config.worktree'), '/etc/gitconfig',
    join(home, '.gitconfig'), join(env['XDG_CONFIG_HOME'] ?? join(home, '.config'), 'git', 'config')
  ])
  for (const { origin, key, value } of entries) {
    if (!origin.startsWith('file:')) continue
    const file = resolve('/', origin.slice('file:'.length))
    files.add(file)
    // includeIf.onbranch depends on HEAD.
    if (key.startsWith('includeif.')) files.add(join(directory, 'HEAD'))
    if (value !== null && (key === 'include.path' || /^includeif\..*\.path$/s.test(key))) {
      files.add(value.startsWith('~/') ? join(home, value.slice(2)) : resolve(dirname(file), value))
    }
  }
  return files
}

async function stampAll (files: Iterable<string>): Promise<Map<string, string>> {
  return new Map(await Promise.all([...files].map(async (file) => [file, await stamp(file)] as const)))
}

async function unchanged (files: Map<string, string>): Promise<boolean> {
  const now = await Promise.all([...files.keys()].map(stamp))
  return [...files.values()].every((before, i) => before === now[i])
}

async function stamp (file: string): Promise<string> {
  const info = await stat(file, { bigint: true }).catch(() => null)
  return info === null ? '' : [info.ctimeNs, info.mtimeNs, info.size, info.ino, info.dev].join(':')
}

function isSettled (files: Map<string, string>, readAt: bigint): boolean {
  return [...files.values()].every((value) => value === '' || BigInt(value.split(':')[0] as string) + RACY_WINDOW < readAt)
}
