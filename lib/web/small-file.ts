import { constants } from 'node:fs'
import { open } from 'node:fs/promises'

/** The beginning of a text file, at most `limit` bytes; empty when there is none. No symlink is followed: it may lead anywhere. */
export async function readBeginning (path: string, limit: number): Promise<string> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
    try {
      if (!(await file.stat()).isFile()) return ''
      const { buffer, bytesRead } = await file.read(Buffer.alloc(limit), 0, limit, 0)
      return buffer.toString('utf8', 0, bytesRead)
    } finally {
      await file.close()
    }
  } catch {
    return ''
  }
}
