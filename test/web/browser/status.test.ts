import assert from 'node:assert/strict'
import { test } from 'node:test'
import { temporaryFolder } from '../../fixtures/folder.ts'
import { makeRepository } from '../../fixtures/repository.ts'
import { FakeSource } from '../fake-source.ts'
import { startPages } from '../pages.ts'
import { openBrowser } from './chromium.ts'

test('the status page follows what the server does', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, '<app>.git')
  const source = new FakeSource()
  const { app, url } = await startPages(t, { root, status: source }, { listen: true })
  const { page, complaints } = await openBrowser(t)
  await page.goto(`${url}/-/status`)
  await page.getByText('Live', { exact: true }).waitFor()
  await page.getByText('Nothing that you may see is in flight').waitFor()
  const line = page.locator('[data-chart="git"] .line')
  const still = await line.getAttribute('d')

  const operation = source.begin({ repository: '<app>.git', phase: 'counting', bytesOut: 2_097_152 })
  source.figures.git.running = 40
  source.figures.totals.bytesOut += 3_145_728
  await page.getByRole('link', { name: '<app>.git' }).waitFor()
  await page.getByRole('cell', { name: 'counting' }).waitFor()
  await page.getByRole('cell', { name: '2.0 MiB' }).waitFor()
  await page.locator('[data-figure="git"]', { hasText: '40' }).waitFor()
  await page.locator('[data-peak="out"]', { hasText: 'MiB/s' }).waitFor()
  assert.notEqual(await line.getAttribute('d'), still)

  operation.phase = 'sending'
  await page.getByRole('cell', { name: 'sending' }).waitFor()
  source.figures.operations.pop()
  await page.getByText('Nothing that you may see is in flight').waitFor()
  assert.equal(await page.locator('#flight tbody tr').count(), 0)
  assert.deepEqual(complaints, [])

  await app.close()
  await page.getByText('Connecting again').waitFor()
})

test('without JavaScript the figures of the moment are there, and no empty curves', async (t) => {
  const root = await temporaryFolder(t)
  await makeRepository(root, 'app.git')
  const source = new FakeSource()
  source.begin({ repository: 'app.git', bytesOut: 1_048_576 })
  const { url } = await startPages(t, { root, status: source }, { listen: true })
  const { page } = await openBrowser(t, { javaScript: false, width: 360 })
  await page.goto(`${url}/-/status`)
  await page.getByText('Reload it to see newer ones').waitFor()
  await page.getByRole('cell', { name: '1.0 MiB' }).first().waitFor()
  assert.equal(await page.locator('svg:visible').count(), 0)
})

test('a page that nobody looks at does not watch', async (t) => {
  const source = new FakeSource()
  const { url } = await startPages(t, { root: await temporaryFolder(t), status: source }, { listen: true })
  const { page } = await openBrowser(t)
  await page.goto(`${url}/-/status`)
  await page.getByText('Live', { exact: true }).waitFor()
  const left = page.waitForEvent('requestfinished', { predicate: (request) => request.url().endsWith('/-/events'), timeout: 10_000 }).catch(() => null)
  const failed = page.waitForEvent('requestfailed', { predicate: (request) => request.url().endsWith('/-/events'), timeout: 10_000 }).catch(() => null)
  await page.evaluate('Object.defineProperty(document, "hidden", { value: true, configurable: true }); document.dispatchEvent(new Event("visibilitychange"))')
  assert.notEqual(await Promise.race([left, failed]), null)
})
