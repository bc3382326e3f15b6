import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { temporaryFolder } from '../fixtures/folder.ts'
import { nextTick, stopClocks, type Clock } from '../fixtures/simulated.ts'

export const MINUTE = 60_000

export interface Scene {
  /** Holds `file` (`one`), `folder/child`, `link` to `file`, `other` (`one` as well) and nothing named `missing`. */
  folder: string
  clock: Clock
  at (name: string): string
}

export async function makeScene (t: TestContext): Promise<Scene> {
  const folder = await temporaryFolder(t)
  const scene = join(folder, 'scene')
  const at = (name: string): string => join(scene, name)
  mkdirSync(at('folder'), { recursive: true })
  for (const name of ['file', 'other', 'folder/child']) writeFileSync(at(name), 'one')
  utimesSync(at('file'), 1_000, 1_000)
  symlinkSync('file', at('link'))
  nextTick(folder)
  return { folder: scene, clock: stopClocks(t), at }
}
