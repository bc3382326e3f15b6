/** Makes the pictures of the README: `tsx test/web/screenshots.ts FOLDER`. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { linksBelow } from '../../lib/web/site.ts'
import { statusView, type Rates } from '../../lib/web/status-view.ts'
import { openBrowser, type BrowserOptions } from './browser/chromium.ts'
import { makeDemo } from './demo.ts'
import { FakeSource } from './fake-source.ts'
import { startPages } from './pages.ts'

/** The page's events and its clock, by hand. */
const STAND_STILL = `
  globalThis.EventSource = class { constructor () { globalThis.source = this } close () {} }
  globalThis.setInterval = (draw) => { globalThis.tick = draw; return 0 }`

const [folder] = process.argv.slice(2)
if (folder === undefined) {
  process.stderr.write('usage: tsx test/web/screenshots.ts FOLDER\n')
  process.exit(2)
}
await mkdir(folder, { recursive: true })

const ends: Array<() => unknown> = []
const scope = { after: (end: () => unknown) => { ends.push(end) } }
try {
  const root = await mkdtemp(join(tmpdir(), 'fastify-git-http-demo-'))
  scope.after(async () => await rm(root, { recursive: true, force: true }))
  await makeDemo(root)
  const source = busySource()
  const { url } = await startPages(scope, { root, status: source, url: 'https://git.example.org', user: () => 'ann' }, { listen: true })

  await take('list-light', `${url}/`, {})
  await take('list-dark', `${url}/`, { dark: true })
  await take('list-phone', `${url}/`, { width: 390, height: 844, scale: 2 })
  await take('repository-light', `${url}/compiler.git/`, {})
  await take('repository-dark', `${url}/compiler.git/`, { dark: true })
  await take('repository-phone-dark', `${url}/compiler.git/`, { width: 390, height: 844, scale: 2, dark: true })
  await take('repository-empty', `${url}/sandbox.git/`, {})
  await take('status-light', `${url}/-/status`, {}, watchTraffic)
  await take('status-dark', `${url}/-/status`, { dark: true }, watchTraffic)
  await take('status-phone', `${url}/-/status`, { width: 390, height: 844, scale: 2 }, watchTraffic)

  async function take (name: string, address: string, options: BrowserOptions, prepare?: (page: Page) => Promise<void>): Promise<void> {
    const mine: Array<() => Promise<void>> = []
    const { page } = await openBrowser({ after: (end) => { mine.push(end) } }, options)
    if (prepare !== undefined) await page.addInitScript(STAND_STILL)
    await page.goto(address)
    await prepare?.(page)
    await page.screenshot({ path: join(folder as string, `${name}.png`), fullPage: true, animations: 'disabled' })
    for (const end of mine) await end()
  }

  /** Two minutes of clones that come and go, without waiting for them. */
  async function watchTraffic (page: Page): Promise<void> {
    await page.evaluate('source.onopen()')
    for (let second = 0; second < 120; second++) {
      const rates = source.pass(second)
      const view = statusView(source.snapshot(), rates, source.figures.operations, 'ann', linksBelow(''))
      await page.evaluate(`source.onmessage({ data: ${JSON.stringify(JSON.stringify(view))} }); tick()`)
    }
  }
} finally {
  for (const end of ends.reverse()) await end()
}

interface BusySource extends FakeSource {
  /** A second goes by. */
  pass (second: number): Rates
}

function busySource (): BusySource {
  const source = new FakeSource()
  const now = Date.now()
  source.begin({ repository: 'compiler.git', user: 'ci-runner', startedAt: now - 4_200, bytesIn: 1_180, bytesOut: 48_400_000, cache: 'shared' })
  source.begin({ repository: 'compiler.git', user: 'ci-runner', startedAt: now - 3_900, bytesIn: 1_180, bytesOut: 47_900_000, cache: 'shared' })
  source.begin({ repository: 'mobile/app.git', user: 'dora', service: 'receive-pack', startedAt: now - 21_000, bytesIn: 182_000_000, phase: 'receiving', cache: null })
  source.begin({ repository: 'infra/ansible.git', startedAt: now - 700, bytesIn: 640, phase: 'counting' })
  source.figures.caches.push({ name: 'Packs on disk', hits: 6_120, misses: 402, bytes: 2_900_000_000, maxBytes: 10_737_418_240 })
  return Object.assign(source, {
    pass: (second: number): Rates => {
      const wave = 1 + Math.sin(second / 15) + 0.5 * Math.sin(second * 1.3) ** 2 + (second % 37 < 4 ? 0.7 : 0)
      source.figures.git.running = Math.round(1.4 * wave)
      source.figures.operations.length = 4
      for (let more = 0; more < Math.round(2 * wave); more++) source.begin({ repository: 'website.git' })
      if (second === 119) source.figures.operations.length = 4
      return { out: 31_000_000 * wave, in: 4_000_000 * (1.2 - Math.cos(second / 11)) }
    }
  })
}
