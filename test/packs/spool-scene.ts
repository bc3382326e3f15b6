import type { TestContext } from 'node:test'
import { DirectoryStore } from '../../lib/packs/directory-store.ts'
import { MemoryStore } from '../../lib/packs/memory-store.ts'
import { Spool } from '../../lib/packs/spool.ts'
import { makeLog, MB } from './helpers.ts'

/** Bytes on disk and in memory. */
export interface Storage { maxBytes?: number, memory?: number }

/** What spools are made from, and what they could not do. */
export function makeStorage (t: TestContext, folder: string, { maxBytes, memory = 64 * MB }: Storage): { spool: () => Spool, trouble: unknown[], memory: MemoryStore, store: DirectoryStore } {
  const store = new DirectoryStore({ directory: folder, maxBytes }, makeLog())
  t.after(async () => await store.close())
  const memoryStore = new MemoryStore({ maxBytes: memory })
  const trouble: unknown[] = []
  const spool = (): Spool => new Spool({
    memory: memoryStore,
    createFile: async () => await store.directory.create(),
    onTrouble: (error) => trouble.push(error),
    onIdle: () => {}
  })
  return { spool, trouble, memory: memoryStore, store }
}
