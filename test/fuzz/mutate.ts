import type { Random } from './random.ts'
import { changeBody, joinRequest, splitRequests, type Recorded } from './requests.ts'

const known = new WeakMap<Buffer, Recorded[]>()

/** What parsers of packets, HTTP and refs stumble over. */
const TOKENS = [
  '0000', '0001', '0002', '0003', '0004', '0005', 'ffff', 'fff0', 'fff4', '-001', '0x10', '\0', '\n', '\r\n', '\r\n\r\n', ' ', '\xff', '/', '..', '%2e%2e', '%00',
  'Content-Length: 0\r\n', 'Content-Length: 99999\r\n', 'Transfer-Encoding: chunked\r\n', 'Content-Encoding: gzip\r\n', 'Git-Protocol: version=2\r\n', 'Git-Protocol: version=1\r\n',
  'Expect: 100-continue\r\n', 'Connection: close\r\n', 'push-cert\0', 'shallow ', 'deepen 1', 'done\n', 'want ', 'have ', 'refs/heads/', 'HEAD', '0'.repeat(40), 'f'.repeat(40), 'PACK'
]

/** A request that a client sent, with some of its bytes changed: any of them, or those of a body only. */
export function mutate (whole: Buffer, others: readonly Buffer[], random: Random): Buffer {
  const requests = withBodies(whole)
  if (requests.length === 0 || random.below(2) === 0) return mutateBytes(whole, others, random)
  const { head, body } = random.pick(requests)
  const bodies = others.flatMap((other) => withBodies(other).map(({ body }) => body))
  return joinRequest(head, changeBody(head, body, (bytes) => mutateBytes(bytes, bodies, random)), 1 + random.below(100_000))
}

function withBodies (whole: Buffer): Recorded[] {
  const requests = known.get(whole) ?? splitRequests(whole).filter(({ body }) => body.length > 0)
  known.set(whole, requests)
  return requests
}

function mutateBytes (whole: Buffer, others: readonly Buffer[], random: Random): Buffer {
  let bytes = whole
  for (let times = 1 + random.below(4); times > 0; times--) bytes = once(bytes, others, random)
  return bytes
}

function once (bytes: Buffer, others: readonly Buffer[], random: Random): Buffer {
  // Most of a request is its pack; what decides stands in front.
  const at = random.below(random.below(3) === 0 ? bytes.length : Math.min(bytes.length, 2_000))
  const length = 1 + random.below(random.below(4) === 0 ? 2_000 : 8)
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)]
  switch (random.below(9)) {
    case 0: return Buffer.concat([before, Buffer.from([(bytes[at] ?? 0) ^ (1 << random.below(8))]), bytes.subarray(at + 1)])
    case 1: return Buffer.concat([before, Buffer.from([random.below(256)]), bytes.subarray(at + 1)])
    case 2: return Buffer.concat([before, bytes.subarray(at + length)])
    case 3: return Buffer.concat([before, after.subarray(0, length), after])
    case 4: return Buffer.concat([before, Buffer.from(random.pick(TOKENS), 'latin1'), after])
    case 5: {
      const token = Buffer.from(random.pick(TOKENS), 'latin1')
      return Buffer.concat([before, token, bytes.subarray(at + token.length)])
    }
    case 6: return before
    case 7: {
      const other = random.pick(others)
      return Buffer.concat([before, other.subarray(random.below(other.length))])
    }
    default: return Buffer.concat([before, Buffer.from(Array.from({ length }, () => random.below(256))), after])
  }
}
