/** Why the command cannot go on: one line for the person who typed it, and the exit code. */
export class Failure extends Error {
  /** 2 for a command line that is wrong, 1 for everything that is wrong elsewhere. */
  readonly exitCode: 1 | 2

  constructor (message: string, exitCode: 1 | 2 = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

/** What the system's error codes mean to the person who named a file or folder. */
const FILE_PROBLEMS: Record<string, string> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read',
  EPERM: 'may not be read',
  EISDIR: 'is a folder',
  ENOTDIR: 'does not exist'
}

/** The failure of using a file or folder that an option named. */
export function fileFailure (option: string, path: string, error: unknown): Failure {
  const { code = '', message } = error as NodeJS.ErrnoException
  return new Failure(`${option}: ${path} ${FILE_PROBLEMS[code] ?? `cannot be used (${message})`}`)
}

/** Any error as a failure, on a single line: libraries put hints and stack-like lists into their messages. */
export function toFailure (error: unknown): Failure {
  const { message, code } = error as NodeJS.ErrnoException
  const text = (error instanceof Error ? message : String(error)).trim().replace(/\s*\n\s*/g, ' ')
  // Line 0 is the access file itself.
  if (code === 'FST_GIT_ACCESS_FILE') return new Failure(`--access-file: ${text.replace(':0: ', ': ')}`)
  return new Failure(text, error instanceof Failure ? error.exitCode : 1)
}
