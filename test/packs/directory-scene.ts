import { utimesSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { DirectoryStore, type DirectoryStoreOptions } from '../../lib/packs/directory-store.ts'
import type { PackSource } from '../../lib/packs/pack-store.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { KB, keyOf, makeLog, random, type Log } from './helpers.ts'

export const A = keyOf('a')
export const B = keyOf('b')
export const BYTES = random(100 * KB)

export function sourceOf (bytes: Buffer): PackSource {
  return { size: bytes.length, read: () => Readable.from([bytes]) }
}

export async function makeStore (t: TestContext, options: DirectoryStoreOptions = {}): Promise<{ store: DirectoryStore, folder: string, log: Log }> {
  const folder = options.directory ?? join(await temporaryFolder(t), 'packs')
  const log = makeLog()
  const store = new DirectoryStore({ directory: folder, ...options }, log)
  t.after(async () => await store.close())
  return { store, folder, log }
}

/** What the store has under the key. */
export async function stored (store: DirectoryStore, key: string): Promise<Buffer | null> {
  const pack = await store.get(key)
  if (pack === null) return null
  const bytes = await buffer(pack.read())
  pack.close()
  return bytes
}

export function fileOf (folder: string, key: string): string {
  return join(folder, `${key}.pack`)
}

/** Makes a file look so many milliseconds older. */
export function age (path: string, milliseconds: number): void {
  const time = (Date.now() - milliseconds) / 1000
  utimesSync(path, time, time)
}
