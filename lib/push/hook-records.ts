/** One ref of a push, as git feeds it to pre-receive and post-receive (githooks(5)). */
export interface HookCommand {
  old: string
  new: string
  ref: string
}

/** git is at this hook, and waits. */
export interface ReceiveRecord {
  hook: 'pre-receive' | 'post-receive'
  environment: Record<string, string>
  commands: HookCommand[]
}

/** What the shim says; see shim.ts. */
export type HookRecord =
  | ReceiveRecord
  /** git asks for one ref, and waits. */
  | { hook: 'update', ref: string }
  /** A hook of the repository's own runs; `pid` is the shim that waits for it. */
  | { hook: 'begin', name: string, pid: number }
  | { hook: 'end' }

/** Longest record in bytes: Linux allows 2 MiB of environment, and a push 3 MiB of commands. */
const MAX_RECORD = 8 * 1024 * 1024
/** Fields of the records whose number is fixed, the first included. */
const FIELDS: ReadonlyMap<string, number> = new Map([['update', 2], ['begin', 3], ['end', 1]])

/** Cuts what the shim writes into records, however it arrives. */
export class HookRecords {
  #parts: Buffer[] = []
  #size = 0
  /** Complete fields of the record that has begun. */
  #fields: string[] = []

  /** @throws Error for anything that no shim says. */
  push (chunk: Buffer): HookRecord[] {
    const records: HookRecord[] = []
    let start = 0
    for (let end = chunk.indexOf(0); end >= 0; end = chunk.indexOf(0, start)) {
      this.#take(chunk.subarray(start, end))
      start = end + 1
      this.#fields.push(Buffer.concat(this.#parts).toString('utf8'))
      this.#parts = []
      const record = recordOf(this.#fields)
      if (record === null) continue
      records.push(record)
      this.#fields = []
      this.#size = 0
    }
    this.#take(chunk.subarray(start))
    return records
  }

  #take (part: Buffer): void {
    this.#size += part.length
    if (this.#size > MAX_RECORD) throw new Error(`a hook wrote more than ${MAX_RECORD} bytes`)
    if (part.length > 0) this.#parts.push(part)
  }
}

/** Null while fields are missing. */
function recordOf (fields: string[]): HookRecord | null {
  const [hook = ''] = fields
  if (hook === 'pre-receive' || hook === 'post-receive') {
    // The environment ends with an empty field; the commands follow.
    if (fields.length < 3 || fields.at(-2) !== '') return null
    return { hook, environment: environmentOf(fields.slice(1, -2)), commands: commandsOf(fields.at(-1) as string) }
  }
  const count = FIELDS.get(hook)
  if (count === undefined) throw new Error('a hook wrote what no shim says')
  if (fields.length < count) return null
  if (hook === 'update') return { hook, ref: fields[1] as string }
  if (hook === 'begin') return { hook, name: fields[1] as string, pid: Number(fields[2]) }
  return { hook: 'end' }
}

function environmentOf (entries: string[]): Record<string, string> {
  return Object.fromEntries(entries.map((entry) => {
    const end = entry.indexOf('=')
    return [entry.slice(0, end), entry.slice(end + 1)]
  }))
}

function commandsOf (text: string): HookCommand[] {
  return text.split('\n').filter((line) => line !== '').map((line) => {
    const [before = '', after = ''] = line.split(' ', 2)
    return { old: before, new: after, ref: line.slice(before.length + after.length + 2) }
  })
}
