import { createHash } from 'node:crypto'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { LRUCache } from 'lru-cache'
import { GitFailedError } from '../errors.ts'
import { gitOptions } from '../git/environment.ts'
import type { Starter } from '../git/starter.ts'
import type { GitDirectory, Trail } from './git-directory.ts'
import { Remembered, type Loaded } from './remembered.ts'
import { Witness } from './witness.ts'

/** A repository's own `http.*` switches (git-http-backend(1), "SERVICES"); undefined where its config says nothing. */
export interface RepositorySettings {
  uploadPack: boolean | undefined
  receivePack: boolean | undefined
  uploadArchive: boolean | undefined
  getAnyFile: boolean | undefined
}

/** What a repository without a word about it has. */
export const NO_SETTINGS: RepositorySettings = { uploadPack: undefined, receivePack: undefined, uploadArchive: undefined, getAnyFile: undefined }

/** What git's configuration says about a repository; a new object as soon as any file behind it changed. */
export interface RepositoryConfig {
  settings: RepositorySettings
  /** The same for the same settings in the same order, in every process: hexadecimal. */
  digest: string
  /** The last value of a lower-case key; null for a key without a value, undefined when it is not set. */
  get (key: string): string | null | undefined
}

export type ReadConfig = (repository: GitDirectory) => Promise<RepositoryConfig>

/** Longest `git config --list` that is read, in bytes. */
const LIST_LIMIT = 4 * 1024 * 1024
/** Rounds until the files that git names are those that were looked at. */
const MAX_ROUNDS = 3
/** Repositories whose config is remembered. */
const MAX_REMEMBERED = 2_000

/**
 * Builds the reader of repository configuration. git itself reads it; its answer is remembered for as long as none of
 * the files behind it changes.
 */
export function createReadConfig (starter: Starter, config: Record<string, string>, env: Record<string, string>): ReadConfig {
  const remembered = new LRUCache<string, Remembered<RepositoryConfig>>({ max: MAX_REMEMBERED })
  let systemFile: Promise<string> | undefined

  return async (repository) => {
    const known = remembered.get(repository.directory)
    if (known !== undefined) return await known.current()
    const fresh = new Remembered<RepositoryConfig>(async (previous) => await load(repository, previous))
    remembered.set(repository.directory, fresh)
    return await fresh.current()
  }

  /** The files are looked at before git reads them, so that a change in between shows at the next look. Those that only git names need a second round. */
  async function load (repository: GitDirectory, previous: Witness | undefined): Promise<Loaded<RepositoryConfig>> {
    const system = await (systemFile ??= findSystemFile(starter, env))
    let trail = sources([], repository, env, system)
    for (let round = 1; ; round++) {
      const witness = await Witness.take(trail, previous)
      const entries = await listConfig(repository.directory)
      const needed = sources(entries, repository, env, system)
      const covered = [...needed.keys()].every((file) => trail.has(file))
      if (covered || round === MAX_ROUNDS) {
        await requireReadable(repository, entries)
        const provable = covered && witness.isQuiet() && !entries.some(isIncludeOfGitsOwn)
        return { value: configOf(entries), witness: provable ? witness : null }
      }
      trail = needed
    }
  }

  /** git leaves a config out that it does not understand (an unknown extension), and with it what the config closes. */
  async function requireReadable ({ directory, common }: GitDirectory, entries: ConfigEntry[]): Promise<void> {
    const own = `file:${join(common, 'config')}`
    if (entries.some(({ origin }) => origin === own)) return
    const { code } = await starter.capture([...gitOptions(directory, config), `--git-dir=${directory}`, 'rev-parse', '--git-dir'], env, LIST_LIMIT)
    if (code !== 0) throw new GitFailedError()
  }

  async function listConfig (directory: string): Promise<ConfigEntry[]> {
    const args = [...gitOptions(directory, config), `--git-dir=${directory}`, 'config', '--list', '--show-origin', '-z']
    const { code, stdout } = await starter.capture(args, env, LIST_LIMIT)
    if (code !== 0) throw new GitFailedError()
    return parseList(stdout)
  }
}

/** Where this git keeps the system's config. It tells by asking an editor to open it (git-config(1), --edit). */
async function findSystemFile (starter: Starter, env: Record<string, string>): Promise<string> {
  const asked = await starter.capture(['config', '--system', '--edit'], { ...env, GIT_EDITOR: 'echo' }, LIST_LIMIT).catch(() => null)
  const file = asked?.code === 0 ? asked.stdout.trim() : ''
  return file.startsWith('/') ? file : '/etc/gitconfig'
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

function configOf (entries: ConfigEntry[]): RepositoryConfig {
  const values = new Map(entries.map(({ key, value }) => [key, value]))
  const boolean = (key: string): boolean | undefined => {
    const value = values.get(key)
    return value === undefined ? undefined : gitBoolean(value)
  }
  return {
    settings: {
      uploadPack: boolean('http.uploadpack'),
      receivePack: boolean('http.receivepack'),
      uploadArchive: boolean('http.uploadarchive'),
      getAnyFile: boolean('http.getanyfile')
    },
    digest: createHash('sha256').update(JSON.stringify(entries.map(({ key, value }) => [key, value]))).digest('hex'),
    get: (key) => values.get(key)
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

/** `~user/` and `%(prefix)/`: only git knows where that is. */
function isIncludeOfGitsOwn ({ key, value }: ConfigEntry): boolean {
  return /^include(?:if\..*)?\.path$/s.test(key) && value !== null && /^(?:~[^/]|%\()/.test(value)
}

/** Files whose change may change the config: those named, those that git would look for, and what they include. */
function sources (entries: ConfigEntry[], { directory, common }: GitDirectory, env: Record<string, string>, systemFile: string): Trail {
  const home = env['HOME'] ?? homedir()
  const trail: Trail = new Map()
  const add = (file: string): void => { trail.set(file, 'content') }
  add(join(common, 'config'))
  add(join(directory, 'config.worktree'))
  add(systemFile)
  add(join(home, '.gitconfig'))
  add(join(env['XDG_CONFIG_HOME'] ?? join(home, '.config'), 'git', 'config'))
  for (const { origin, key, value } of entries) {
    if (!origin.startsWith('file:')) continue
    const file = resolve('/', origin.slice('file:'.length))
    add(file)
    // includeIf.onbranch depends on HEAD.
    if (key.startsWith('includeif.')) add(join(directory, 'HEAD'))
    if (value !== null && (key === 'include.path' || /^includeif\..*\.path$/s.test(key))) {
      add(value.startsWith('~/') ? join(home, value.slice(2)) : resolve(dirname(file), value))
    }
  }
  return trail
}
