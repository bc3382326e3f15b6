import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** stat calls under way at once. */
const AT_ONCE = 64

/**
 * objects/info/packs (gitrepository-layout(5)) for what is there now: packs that have an index, newest first as packfile.c's
 * sort_pack() orders them.
 */
export async function listPacks (objects: string): Promise<string> {
  const folder = join(objects, 'pack')
  const names = new Set(await readdir(folder).catch(() => []))
  const packs = [...names].filter((name) => /^pack-[0-9a-f]+\.pack$/.test(name) && names.has(name.replace(/pack$/, 'idx')))
  const dated: Array<{ name: string, time: number }> = []
  for (let i = 0; i < packs.length; i += AT_ONCE) {
    dated.push(...await Promise.all(packs.slice(i, i + AT_ONCE).map(async (name) => ({ name, time: await modified(join(folder, name)) }))))
  }
  const present = dated.filter(({ time }) => time >= 0).sort((a, b) => b.time - a.time)
  return present.map(({ name }) => `P ${name}\n`).join('') + '\n'
}

/** In whole seconds, as git compares it; -1 for a pack that a repack has just removed. */
async function modified (file: string): Promise<number> {
  return await stat(file).then(({ mtimeMs }) => Math.floor(mtimeMs / 1000), () => -1)
}
