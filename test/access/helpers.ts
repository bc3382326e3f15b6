import crypto from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { AccessFile } from '../../lib/access/access-file.ts'
import { temporaryFolder } from '../fixtures/folder.ts'

/** sha1('password'), as sha1sum writes it. */
export const SHA1 = '5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8'

/** base64 without its padding, as a scrypt line has it. */
export function bare (bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}

/** A scrypt line that is cheap enough for tests. */
export function scryptLine (password: string, N = 1024): string {
  const salt = crypto.randomBytes(16)
  return `$scrypt$N=${N},r=8,p=1$${bare(salt)}$${bare(crypto.scryptSync(password, salt, 32, { N }))}`
}

export interface Entry { level: string, object: { err?: Error, user?: string }, message: string }

/** An access file in a directory of its own, opened, with what it logs. */
export async function opened (t: TestContext, text: string): Promise<{ path: string, file: AccessFile, log: Entry[] }> {
  const path = join(await temporaryFolder(t), 'access.ini')
  writeFileSync(path, text)
  const { log, logger } = recorder()
  return { path, file: await AccessFile.open(path, logger), log }
}

export function recorder (): { log: Entry[], logger: Record<'warn' | 'error', (object: object, message: string) => void> } {
  const log: Entry[] = []
  const record = (level: string) => (object: object, message: string) => { log.push({ level, object, message }) }
  return { log, logger: { warn: record('warn'), error: record('error') } }
}
