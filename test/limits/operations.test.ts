import assert from 'node:assert/strict'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { drain } from '../../lib/limits/drain.ts'
import { Operations, type Operation } from '../../lib/limits/operations.ts'
import { OperationRecord } from '../../lib/limits/record.ts'

function begin (): { response: ServerResponse, operation: Operation } {
  const response = new ServerResponse(new IncomingMessage(new Socket()))
  return { response, operation: new Operations().begin(response, new OperationRecord('1', response)) }
}

test('streams that an operation keeps are destroyed when its response closes, and those that come later at once', () => {
  const { response, operation } = begin()
  const [early, late] = [new PassThrough({ autoDestroy: false }), new PassThrough()]
  assert.equal(operation.keep(early), early)
  operation.keep(early)
  operation.handled()
  assert.equal(early.destroyed, false)
  response.emit('close')
  assert.ok(early.destroyed)
  assert.ok(operation.keep(late).destroyed)
})

test('an operation that gives up its streams may keep others after that', () => {
  const { response, operation } = begin()
  const [first, second] = [operation.keep(new PassThrough()), new PassThrough()]
  operation.dispose()
  operation.keep(second)
  assert.deepEqual([first.destroyed, second.destroyed], [true, false])
  response.emit('close')
  assert.ok(second.destroyed)
})

test('an error of a kept stream that nobody reads is no uncaught exception', async () => {
  const { response, operation } = begin()
  const stream = operation.keep(new PassThrough())
  stream.destroy(new Error('too late'))
  await new Promise((resolve) => stream.once('close', resolve))
  response.emit('close')
})

test('what a body was piped to does not hold up those who drain it', { timeout: 10_000 }, async () => {
  const [body, unread] = [new PassThrough(), new PassThrough()]
  body.pipe(unread)
  body.write(Buffer.alloc(1_000_000))
  await new Promise((resolve) => setImmediate(resolve))
  const drained = drain(body)
  body.end(Buffer.alloc(1_000_000))
  await drained
  assert.ok(body.readableEnded)
  assert.equal(unread.writableEnded, false, 'the rest does not look like its end')
})
