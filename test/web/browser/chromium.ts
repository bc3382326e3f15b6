import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type BrowserContext, type Page } from 'playwright-core'

const ARGUMENTS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'
]

export interface BrowserOptions {
  dark?: boolean
  /** CSS pixels. Default 1280 x 800. */
  width?: number
  height?: number
  /** Device pixels for each. */
  scale?: number
  javaScript?: boolean
}

/** What went wrong in pages: messages of the console, scripts that failed, requests to other hosts. */
export interface OpenBrowser {
  context: BrowserContext
  page: Page
  complaints: string[]
}

/** Debian's Chromium with a new profile; closed when the test ends. */
export async function openBrowser (t: { after: (end: () => Promise<void>) => void }, { dark = false, width = 1280, height = 800, scale = 1, javaScript = true }: BrowserOptions = {}): Promise<OpenBrowser> {
  const profile = await mkdtemp(join(tmpdir(), 'fastify-git-http-browser-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: '/usr/bin/chromium',
    args: ARGUMENTS,
    colorScheme: dark ? 'dark' : 'light',
    viewport: { width, height },
    deviceScaleFactor: scale,
    javaScriptEnabled: javaScript,
    locale: 'en-GB'
  })
  t.after(async () => {
    await context.close()
    await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  })
  const complaints: string[] = []
  context.on('console', (message) => { if (['error', 'warning'].includes(message.type())) complaints.push(message.text()) })
  context.on('weberror', (error) => { complaints.push(String(error.error())) })
  context.on('request', (request) => { if (new URL(request.url()).hostname !== 'localhost') complaints.push(`a request to ${request.url()}`) })
  return { context, page: context.pages()[0] ?? await context.newPage(), complaints }
}
