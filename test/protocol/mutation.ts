import fc from 'fast-check'
import { bytesOf, type Part } from './fetch-helpers.ts'

interface Edit { line: number, at: number, text: string, how: 'replace' | 'insert' | 'remove' | 'repeat' | 'drop' | 'swap' | 'put' }

/** What parsers of packets stumble over. */
const TEXTS = ['\n', '\0', ' ', '\t', '\r', '0', '1', 'a', 'A', 'g', '/', '.', '..', '=', ':', '-', 'é', '\u007f', '\ufffd', 'ERR ', 'refs/heads/', '0'.repeat(40), '\n\n', 'done']
const PACKETS: Part[] = ['0000', '0001', '0002', '0003', '0004', '0005\n', 'fff1', '000'].map((raw) => ({ raw }))

const edit: fc.Arbitrary<Edit> = fc.record({
  line: fc.nat(999),
  at: fc.nat(999),
  text: fc.constantFrom(...TEXTS),
  how: fc.constantFrom<Edit['how']>('replace', 'insert', 'insert', 'remove', 'repeat', 'drop', 'swap', 'put')
})

/** Requests with one or two changes: within a line, whose length is then announced as it is, or among the lines. */
export function mutated (whole: fc.Arbitrary<Part[]>): fc.Arbitrary<Buffer> {
  return fc.tuple(whole, fc.array(edit, { minLength: 1, maxLength: 2 })).map(([parts, edits]) => bytesOf(...edits.reduce(applied, parts)))
}

function applied (parts: Part[], { line, at, text, how }: Edit): Part[] {
  const index = line % Math.max(1, parts.length)
  const part = parts[index] ?? ''
  if (how === 'repeat') return parts.toSpliced(index, 0, part)
  if (how === 'drop') return parts.toSpliced(index, 1)
  if (how === 'swap') return parts.toSpliced(index, 1).toSpliced(at % parts.length, 0, part)
  if (how === 'put') return parts.toSpliced(index, 0, PACKETS[at % PACKETS.length] ?? part)
  if (typeof part !== 'string') return parts
  const start = at % (part.length + 1)
  const removed = { replace: text.length, insert: 0, remove: 1 + at % 3 }[how]
  return parts.with(index, part.slice(0, start) + (how === 'remove' ? '' : text) + part.slice(start + removed))
}
