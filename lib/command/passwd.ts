import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import type { ReadStream } from 'node:tty'
import { parseAccessFile } from '../access/access-rules.ts'
import { hashPassword } from '../access/password.ts'
import { Failure } from './failure.ts'

/** Longest password in bytes; it has to fit into a header with room to spare. */
const MAX_LENGTH = 1024
/** Stands for a hash while only the name is in question. */
const ANY_HASH = '0'.repeat(40)

/**
 * The line `NAME = $scrypt$...` for [users] of an access file. Asks twice and without echo on a terminal, reads one line
 * otherwise; prompts go to stderr, so that stdout can be appended to the file.
 *
 * @throws Failure for a name that the access file would refuse (before asking) and for an unusable password.
 */
export async function passwordLine (name: string, input: NodeJS.ReadStream): Promise<string> {
  const key = accessFileKey(name)
  const password = input.isTTY ? await askTwice(input) : await readLine(input)
  // Basic credentials hold no control characters (RFC 7617, section 2), and the server takes them as UTF-8.
  if (/[\p{Cc}\ufffd]/u.test(password)) throw new Failure('a password holds no control characters and nothing but UTF-8')
  if (password === '') throw new Failure('the password is empty')
  if (Buffer.byteLength(password) > MAX_LENGTH) throw new Failure(`the password is longer than ${MAX_LENGTH} bytes`)
  return `${key} = ${await hashPassword(password)}\n`
}

/** The name as it has to be written for the access file to read it: as it is, or else in quotes. */
function accessFileKey (name: string): string {
  let reason = 'the access file cannot hold it'
  for (const key of [name, JSON.stringify(name)]) {
    try {
      const { users } = parseAccessFile(`[users]\n${key} = ${ANY_HASH}\n`, 'passwd')
      if (users.size === 1 && users.has(name)) return key
    } catch (error) {
      reason = (error as Error).message.replace(/^passwd:\d+: /, '')
    }
  }
  throw new Failure(`not a user name: ${reason}`, 2)
}

async function askTwice (input: ReadStream): Promise<string> {
  // readline edits the line in raw mode, where the terminal echoes nothing, and would echo to its output.
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const prompt = createInterface({ input, output: silent, terminal: true, historySize: 0 })
  const lines = prompt[Symbol.asyncIterator]()
  const ask = async (question: string): Promise<string> => {
    process.stderr.write(question)
    const { value, done } = await lines.next()
    process.stderr.write('\n')
    if (done === true) throw new Failure('no password given')
    return value
  }
  try {
    const password = await ask('Password: ')
    if (await ask('Again: ') !== password) throw new Failure('the two passwords differ')
    return password
  } finally {
    prompt.close()
  }
}

async function readLine (input: NodeJS.ReadStream): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of input as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    length += chunk.length
    if (chunk.includes('\n') || length > 2 * MAX_LENGTH) break
  }
  const [line = ''] = Buffer.concat(chunks).toString('utf8').split('\n')
  return line.replace(/\r$/, '')
}
