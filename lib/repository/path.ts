/** Longest repository path in a URL, in characters after decoding. */
const MAX_PATH_LENGTH = 4096
/** Longest part between two slashes, in bytes (NAME_MAX of every common file system). */
const MAX_SEGMENT_LENGTH = 255

/**
 * The parts of a repository path from a URL, or null when it is none. The router decoded the path once; here
 * it is data and is never decoded again. The empty path has no parts: it is root itself.
 */
export function repositorySegments (path: string): string[] | null {
  if (path === '') return []
  if (path.length > MAX_PATH_LENGTH) return null
  const segments = path.split('/')
  return segments.every(isPlainSegment) ? segments : null
}

function isPlainSegment (segment: string): boolean {
  if (segment === '' || segment === '.' || segment === '..') return false
  // A leading dash would be an option to git, and a trailing dot or space is lost on some file systems.
  if (segment.startsWith('-') || segment.endsWith('.') || segment.endsWith(' ')) return false
  // One name for one repository: `app/.git` is `app`, so that no rule about `app` can be walked around.
  if (segment.toLowerCase() === '.git') return false
  // Controls, NUL included, backslashes, and what is left of bytes that are not UTF-8.
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f\\\ufffd]/.test(segment)) return false
  return Buffer.byteLength(segment) <= MAX_SEGMENT_LENGTH
}
