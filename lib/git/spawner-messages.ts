/** What server and helper tell each other. Types only: the helper loads nothing that it does not need. */

/** The first line, as JSON, of the connection that becomes git's stdout, except for a git that writes. */
export interface StartRequest {
  id: number
  path: string
  args: string[]
  env: Record<string, string>
  /** git's stdin is another connection, whose first line is a {@link PartRequest} with the same id. */
  input: boolean
  niceness: number
  /** See {@link StartOptions.write}. */
  write: boolean
  /** See {@link StartOptions.hookFolder}; the channel is one more connection. */
  hookFolder?: string | undefined
}

/**
 * The first line of a connection that belongs to the start with the same id. Nothing may follow before the answer
 * `started`.
 */
export interface PartRequest {
  id: number
  /** `stdout` comes from the helper itself, which hands the other end to the server and keeps it as well. */
  part: 'stdin' | 'channel' | 'stdout'
}

/** What the helper says over its IPC channel, in this order for each id. */
export type HelperMessage =
  /** `socket`: where it listens, in a folder of its own. */
  | { type: 'ready', socket: string }
  /** With the other end of stdout of a git that writes. A message of its own: without descriptors it gets lost. */
  | { type: 'stdout', id: number }
  | { type: 'started', id: number, pid: number }
  | { type: 'failed', id: number, code: string | undefined, message: string }
  | { type: 'exited', id: number, code: number | null, signal: NodeJS.Signals | null, stderr: string }
