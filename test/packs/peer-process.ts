/** Another server process on the same folder: does what its parent says, and tells when it is done. */
import { PassThrough } from 'node:stream'
import { DirectoryStore } from '../../lib/packs/directory-store.ts'
import { PackCache } from '../../lib/packs/pack-cache.ts'
import { bytesOf, keyOf, makeLog } from './helpers.ts'

const [directory = '', maxBytes = ''] = process.argv.slice(2)
const cache = new PackCache({ directory, maxBytes: Number(maxBytes), minOccurrences: 0, maxMemoryEntry: 1000 }, makeLog())

process.on('message', async ({ name, size, seed, how }: { name: string, size: number, seed: number, how: 'whole' | 'half' | 'read' }) => {
  if (how === 'read') {
    const store = new DirectoryStore({ directory, maxBytes: Number(maxBytes) }, makeLog())
    const pack = await store.get(keyOf(name))
    pack?.close()
    await store.close()
    process.send?.({ size: pack?.size ?? null })
    return
  }
  const answer = await cache.get(keyOf(name), { left: new AbortController().signal }, async () => {
    const stdout = new PassThrough()
    stdout.write(Buffer.alloc(size, seed))
    if (how === 'whole') stdout.end()
    return stdout
  })
  if (how === 'half') {
    answer.stream?.resume()
    process.send?.({ begun: true })
    return
  }
  const bytes = await bytesOf(answer)
  while (cache.counters.kept + cache.counters.failures === 0 && answer.cache === 'miss') await new Promise((resolve) => setImmediate(resolve))
  process.send?.({ cache: answer.cache, right: bytes.length === size && bytes.every((byte) => byte === seed) })
})
process.on('disconnect', () => process.exit())
process.send?.({ ready: true })
