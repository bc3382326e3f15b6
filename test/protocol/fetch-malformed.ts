import { A, DELIMITER, FLUSH, type Part, RESPONSE_END, v2 } from './fetch-helpers.ts'

const FIRST = `want ${A} ofs-delta`
const OPEN = v2().slice(0, -1)

/** What git dies of, and the reason that the client is told. */
export const MALFORMED: Array<[what: string, protocol: 0 | 1 | 2, parts: Part[], reason: string]> = [
  ...['0003', 'fff4', 'FFFF', 'zzzz', '-001', '0x10', ' 010', '000\n'].flatMap((raw): typeof MALFORMED => [
    [`length ${JSON.stringify(raw)}`, 2, [{ raw }], 'bad packet length'],
    [`length ${JSON.stringify(raw)} among the arguments`, 2, [...OPEN, { raw }], 'bad packet length'],
    [`length ${JSON.stringify(raw)}`, 0, [{ raw }], 'bad packet length'],
    [`length ${JSON.stringify(raw)} among the haves`, 1, [FIRST, FLUSH, { raw }], 'bad packet length']
  ]),
  ...['0004', '0005\n'].flatMap((raw): typeof MALFORMED => [
    [`empty packet ${JSON.stringify(raw)}`, 2, [{ raw }], 'empty packet'],
    [`empty packet ${JSON.stringify(raw)} among the arguments`, 2, [...OPEN, { raw }], 'empty packet'],
    [`empty packet ${JSON.stringify(raw)}`, 0, [{ raw }], 'empty packet'],
    [`empty packet ${JSON.stringify(raw)} among the wants`, 0, [FIRST, { raw }], 'empty packet'],
    [`empty packet ${JSON.stringify(raw)} among the haves`, 0, [FIRST, FLUSH, { raw }], 'empty packet']
  ]),
  ['a delimiter first', 2, [DELIMITER], 'no command'],
  ['capabilities without a command', 2, ['agent=x', FLUSH], 'no command'],
  ['capabilities without a command, delimited', 2, ['agent=x', DELIMITER], 'no command'],
  ['a second delimiter', 2, [...OPEN, DELIMITER], 'second delimiter'],
  ['a delimiter for a flush', 2, [...OPEN, `want ${A}`, DELIMITER], 'second delimiter'],
  ['a response end first', 2, [RESPONSE_END], 'response end in a request'],
  ['a response end behind the command', 2, ['command=fetch', RESPONSE_END], 'response end in a request'],
  ['a response end among the arguments', 2, [...OPEN, RESPONSE_END], 'response end in a request'],
  ['no end', 2, ['command=fetch'], 'ends too early'],
  ['no flush', 2, [...OPEN, 'done'], 'ends too early'],
  ['half a header', 2, [...OPEN, { raw: '00' }], 'ends too early'],
  ['half a packet', 2, [...OPEN, { raw: '0009do' }], 'ends too early'],
  ['nothing', 0, [], 'ends too early'],
  ['half a header', 0, [{ raw: '00' }], 'ends too early'],
  ['no flush behind the wants', 0, [FIRST], 'ends too early'],
  ['no end of the haves', 0, [FIRST, FLUSH, `have ${A}`], 'ends too early'],
  ['half a packet behind a have', 0, [FIRST, FLUSH, `have ${A}`, { raw: '0009do' }], 'ends too early']
]
