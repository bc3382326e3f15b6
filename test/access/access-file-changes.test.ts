import assert from 'node:assert/strict'
import fs, { type ReadStream, appendFileSync, renameSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { AccessFile } from '../../lib/access/access-file.ts'
import { temporaryFolder } from '../fixtures/folder.ts'
import { gate } from '../fixtures/gate.ts'
import { opened, recorder } from './helpers.ts'

/** Replaces a function of node:fs/promises, which imports by name see as well. */
function intercept (t: TestContext, name: 'open' | 'stat', replacement: (original: () => Promise<unknown>) => Promise<unknown>): void {
  const original = fs.promises[name] as (...args: unknown[]) => Promise<unknown>
  const mocked = t.mock.method(fs.promises, name, (...args: unknown[]) => replacement(() => original(...args)))
  syncBuiltinESMExports()
  t.after(() => { mocked.mock.restore(); syncBuiltinESMExports() })
}

/** From here on files are old enough to be judged by their stat alone. */
function later (t: TestContext): void {
  const now = Date.now
  t.mock.method(Date, 'now', () => now() + 60_000)
}

test('an edit within the same tick of a coarse clock is seen', async (t) => {
  const { path, file } = await opened(t, '[access]\nu = a=r\n')
  const before = await fs.promises.stat(path, { bigint: true })
  writeFileSync(path, '[access]\nu = b=r\n')
  intercept(t, 'stat', async () => before) // what a file system with such a clock says
  assert.equal(await file.rights('u', 'b'), 'read')
})

test('a file that changes while it is read is read again, but not for ever', async (t) => {
  const { path, file, log } = await opened(t, '[access]\nu = a=r\n')
  const handles: FileHandle[] = []
  let changes = 1
  intercept(t, 'open', async original => {
    const handle = await original() as FileHandle
    handles.push(handle)
    const read = handle.createReadStream.bind(handle)
    handle.createReadStream = options => {
      if (changes-- <= 0) return read(options)
      appendFileSync(path, '# more\n')
      return Readable.from(['[acc']) as ReadStream
    }
    return handle
  })
  writeFileSync(path, '[access]\nu = a=rw\n')
  assert.equal(await file.rights('u', 'a'), 'write')
  assert.equal(log.length, 0)
  assert.equal(handles.length, 2)
  changes = Infinity
  assert.equal(await file.rights('u', 'a'), 'write')
  assert.match(log[0]?.message ?? '', /unknown section/)
  assert.equal(handles.length, 6)
  assert.deepEqual(new Set(handles.map(handle => handle.fd)), new Set([-1]), 'all closed')
})

test('an edit of equal length that keeps the modification time is seen', async (t) => {
  later(t)
  const { path, file } = await opened(t, '[access]\nu = a=r \n')
  utimesSync(path, 1, 1)
  assert.equal(await file.rights('u', 'a'), 'read')
  const { ctimeNs } = statSync(path, { bigint: true })
  // The time of the last change cannot be set; try until the clock has ticked.
  do {
    writeFileSync(path, '[access]\nu = a=rw\n')
    utimesSync(path, 1, 1)
  } while (statSync(path, { bigint: true }).ctimeNs === ctimeNs)
  assert.equal(await file.rights('u', 'a'), 'write')
})

test('a symbolic link that is turned to another file is followed', async (t) => {
  const directory = await temporaryFolder(t)
  const at = (name: string): string => join(directory, name)
  writeFileSync(at('one'), '[access]\nu = a=r\n')
  writeFileSync(at('two'), '[access]\nu = a=rw\n')
  symlinkSync('one', at('access.ini'))
  const file = await AccessFile.open(at('access.ini'), recorder().logger)
  assert.equal(await file.rights('u', 'a'), 'read')
  symlinkSync('two', at('link'))
  renameSync(at('link'), at('access.ini'))
  assert.equal(await file.rights('u', 'a'), 'write')
})

test('an unchanged file is not read again, and a changed one once for all who wait', async (t) => {
  later(t)
  const { path, file } = await opened(t, '[access]\nu = a=r\n')
  let [reads, stats] = [0, 0]
  intercept(t, 'open', original => { reads++; return original() })
  intercept(t, 'stat', original => { stats++; return original() })
  for (let round = 0; round < 5; round++) assert.equal(await file.rights('u', 'a'), 'read')
  assert.deepEqual({ reads, stats }, { reads: 0, stats: 5 })
  writeFileSync(path, '[access]\nu = a=rw\n')
  const answers = await Promise.all(Array.from({ length: 20 }, () => file.rights('u', 'a')))
  assert.deepEqual(new Set(answers), new Set(['write']))
  assert.deepEqual({ reads, stats }, { reads: 1, stats: 6 })
})

test('who comes while an older look is still under way does not share it', async (t) => {
  later(t)
  const { path, file } = await opened(t, '[access]\nu = a=r\n')
  const looked = gate()
  const goOn = gate()
  intercept(t, 'stat', async original => {
    const stats = await original()
    looked.open()
    await goOn.opened
    return stats
  })
  const first = file.rights('u', 'a')
  await looked.opened
  writeFileSync(path, '[access]\nu = a=rw\n')
  const second = file.rights('u', 'a')
  goOn.open()
  assert.equal(await second, 'write')
  await first
})
