import { LRUCache } from 'lru-cache'
import type { GitDirectory } from '../repository/git-directory.ts'
import { createReadRefs, type ReadRefs, type RefsState } from '../repository/refs.ts'
import type { ReadConfig, RepositoryConfig } from '../repository/settings.ts'

interface Known<T> {
  refs: RefsState
  config: RepositoryConfig
  value: Promise<T>
}

/** Reads something of a repository once for each state of its refs and its config. */
export class ByState<T> {
  readonly #known: LRUCache<string, Known<T>>
  readonly #load: (repository: GitDirectory, config: RepositoryConfig) => Promise<T>
  readonly #readConfig: ReadConfig
  readonly #readRefs: ReadRefs = createReadRefs()

  /** `max`: repositories that are remembered. */
  constructor (max: number, readConfig: ReadConfig, load: (repository: GitDirectory, config: RepositoryConfig) => Promise<T>) {
    this.#known = new LRUCache({ max })
    this.#readConfig = readConfig
    this.#load = load
  }

  async get (repository: GitDirectory): Promise<T> {
    const { directory } = repository
    const [config, refs] = await Promise.all([this.#readConfig(repository), this.#readRefs(repository)])
    const known = this.#known.get(directory)
    if (known !== undefined && known.refs === refs && known.config === config) return await known.value
    const keep = refs.provable && refs.isQuiet() && !isReftable(config)
    const value = this.#load(repository, config)
    const made = { refs, config, value }
    // Those who ask meanwhile share it, whatever becomes of it.
    this.#known.set(directory, made)
    const forget = (): void => { if (this.#known.get(directory) === made) this.#known.delete(directory) }
    value.then(() => { if (!keep) forget() }, forget)
    return await value
  }
}

/** Its files do not tell when refs change. */
function isReftable (config: RepositoryConfig): boolean {
  return (config.get('extensions.refstorage') ?? 'files') !== 'files'
}
