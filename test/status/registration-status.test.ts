import assert from 'node:assert/strict'
import { test } from 'node:test'
import { logFields } from '../../lib/status/log-line.ts'
import { RegistrationStatus } from '../../lib/status/registration-status.ts'
import { Totals } from '../../lib/status/totals.ts'
import type { OperationSummary, Outcome } from '../../lib/summary.ts'

function summary (outcome: Outcome, more: object = {}): OperationSummary {
  return {
    operation: { repository: 'app.git', service: 'upload-pack', phase: 'exchange', user: null, protocol: 2 },
    outcome,
    status: 200,
    code: null,
    bytesIn: 10,
    bytesOut: 60,
    durations: { total: 1, admitted: null, answered: null },
    cache: null,
    exitCode: null,
    refs: [],
    ...more
  } as unknown as OperationSummary
}

test('bytes in flight are counted, and no sum falls when an operation ends with fewer', () => {
  const totals = new Totals()
  const records: unknown[] = [{ progress: { operation: null, bytesIn: 30, bytesOut: 100 } }]
  const admission = { counters: { running: 0, queued: 0 } }
  const status = new RegistrationStatus({ totals, operations: { records }, admission, answers: null, packs: null } as never)
  assert.deepEqual(status.snapshot().totals, { operations: 0, failed: 0, bytesIn: 30, bytesOut: 100 })
  // Bytes that were put back.
  records.pop()
  totals.add(summary('completed'))
  assert.deepEqual(status.snapshot().totals, { operations: 1, failed: 0, bytesIn: 30, bytesOut: 100 })
  totals.add(summary('completed'))
  assert.deepEqual(status.snapshot().totals, { operations: 2, failed: 0, bytesIn: 30, bytesOut: 120 })
})

test('failed are those that the server is to be blamed for', () => {
  const failed: Record<Outcome, number> = { completed: 0, refused: 0, 'client-gone': 0, timeout: 1, 'git-failed': 1, unavailable: 1, failed: 1 }
  for (const [outcome, expected] of Object.entries(failed)) {
    const totals = new Totals()
    totals.add(summary(outcome as Outcome))
    assert.deepEqual([totals.operations, totals.failed], [1, expected], outcome)
  }
})

test('names in the log line cannot break it, and what is unknown is null', () => {
  const fields = logFields(summary('completed', { operation: { repository: 'a\nb\u001b[2J', service: 'upload-pack', phase: 'exchange', user: 'eve\r\nroot', protocol: 2 } }), '127.0.0.1')
  for (const text of [fields.repository, fields.user]) assert.doesNotMatch(text as string, /\p{Cc}/u)
  const unknown = logFields(summary('refused', { operation: null }), null)
  assert.deepEqual([unknown.repository, unknown.service, unknown.phase, unknown.user, unknown.protocol, unknown.address], [null, null, null, null, null, null])
})
