import type { Readable } from 'node:stream'

/** A complete answer to a fetch, git's own bytes. */
export interface PackSource {
  /** In bytes. */
  readonly size: number
  /** All of it, from the start. May be called any number of times, also while others still read. */
  read (): Readable
}

/** An answer that a store has. */
export interface StoredPack extends PackSource {
  /** Called once, when it is needed no more: all readers have ended or are destroyed. */
  close (): void
}

/**
 * Where complete answers to fetches are kept for the next client who asks the same: an object store that several servers
 * share, for example.
 *
 * A key is 64 hexadecimal digits and stands for one question to one state of one repository, so what was put once never
 * changes. How long a store keeps it is the store's business: a pack that is gone is made anew. Whoever can read the store
 * can read every repository that is served.
 *
 * A store is never allowed to make a request fail or wait for long: when `get` rejects, or does not settle within two seconds,
 * git is asked; when `put` rejects, or does not settle within two minutes, the answer is not kept. Both are logged once. A store
 * that did not settle is left alone for half a minute.
 */
export interface PackStore {
  /** The answer under `key`, or null. An answer must be there whole: one that ends early destroys the client's connection. */
  get (key: string): Promise<StoredPack | null>
  /** Keeps an answer. It must not be visible to `get` before all of it was stored; the source's readers fail after two minutes. */
  put (key: string, source: PackSource): Promise<void>
  /** The server shuts down. Waited for, for two seconds. */
  close? (): Promise<void>
}

/** Where warnings go. */
export interface PackLog {
  warn (details: object, message: string): void
}
